// What one system of the comparison is: a worker process, and a door by which batches go in and results come out.
import type { Client } from '@temporalio/client';
import type { Transfer } from '../../examples/contrast/invoice.ts';
import type { PlannedRun } from './plan.ts';
import type { Statement } from './verdict.ts';

/** The names of the folders in examples/contrast/, in the order of the table. */
export const systemNames = ['request-response', 'plain', 'ai-sdk', 'with-effect'] as const;
export type SystemName = (typeof systemNames)[number];

export interface System {
  readonly name: SystemName;
  readonly workerFile: string;
  readonly openDoor: (site: Site) => Promise<Door>;
  /** What the table has to say about it besides the numbers. */
  readonly note?: string;
  /** False: there is no workflow to reset, the batch is delivered a second time instead. */
  readonly hasResets: boolean;
}

/** Where the systems work: servers of the comparison's own. */
export interface Servers {
  readonly client: Client;
  readonly temporalAddress: string;
  readonly databaseUrl: string;
}

/** What a door gets from the run it opens for. */
export interface Site {
  readonly folder: string;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

export interface Door {
  readonly workerEnv: Readonly<Record<string, string>>;
  /** Hands the batch over, for the first time. */
  start(run: PlannedRun): Promise<void>;
  /** In the middle: an operator resets the workflow, or the queue delivers the batch again. */
  startAgain(run: PlannedRun): Promise<void>;
  /** What the run came to; undefined when it did not complete in time. */
  result(run: PlannedRun): Promise<readonly Transfer[] | undefined>;
  /** What the system knows besides the results of its runs. */
  ownWords(): Promise<Pick<Statement, 'paid' | 'doubts'>>;
  close(): Promise<void>;
}

/** For a system that knows what its runs returned, and nothing more. */
export function noWords(): Promise<Pick<Statement, 'paid' | 'doubts'>> {
  return Promise.resolve({ paid: new Map(), doubts: new Set() });
}
