// What a plain workflow waits for: how soon it looks again, and what Temporal's UI says meanwhile.
import { getCurrentDetails, setCurrentDetails } from '@temporalio/workflow';
import type { EffectOutcome } from '../domain/rules/effect-outcome.ts';
import { executionMemory } from './execution-memory.ts';

type Waiting = Extract<
  EffectOutcome,
  { kind: 'pending' | 'in_doubt' | 'awaiting_approval' | 'paused' }
>;

/** One wait between two looks. */
export interface Wait {
  /** The effect whose signal ends it; absent: any signal does. */
  readonly effect: string | undefined;
  /** What the effect is, in two or three words. */
  readonly what: string;
  /** The command that ends it. */
  readonly command: string;
  readonly lookMs: number;
}

/** A receiver that says "accepted" is often done within seconds. */
const PENDING_LOOK_MS = 5_000;
const FIRST_LOOK_MS = 60_000;
const LOOK_MAX_MS = 3_600_000;
/** What is signalled until it is heard needs no look of its own: this one is for a ledger whose sweeps have stopped. */
export const SIGNALLED_LOOK_MS = 86_400_000;

/** `looks`: how often it was looked at before. */
export function toWait(outcome: Waiting, looks: number): Wait {
  const growing = (firstMs: number): number => Math.min(firstMs * 2 ** looks, LOOK_MAX_MS);
  switch (outcome.kind) {
    case 'pending': {
      const { effect } = outcome;
      const what = 'accepted by its receiver';
      return { effect, what, command: settle(effect), lookMs: growing(PENDING_LOOK_MS) };
    }
    case 'in_doubt': {
      const { effect } = outcome;
      const lookMs = effect === undefined ? growing(FIRST_LOOK_MS) : SIGNALLED_LOOK_MS;
      return { effect, what: 'in doubt', command: settle(effect), lookMs };
    }
    case 'awaiting_approval': {
      const command = `pawl approve ${outcome.approval.id}`;
      return {
        effect: undefined,
        what: 'not approved yet',
        command,
        lookMs: growing(FIRST_LOOK_MS),
      };
    }
    case 'paused':
      return {
        effect: undefined,
        what: 'paused',
        command: 'pawl resume RUN',
        lookMs: growing(FIRST_LOOK_MS),
      };
  }
}

function settle(effect: string | undefined): string {
  return effect === undefined ? 'pawl doubts' : `pawl settle ${effect}`;
}

/** Of the activity: the first is the effect itself. */
export function lookSummary(tool: string, looks: number, wait: Wait | undefined): string {
  return wait ? `${tool} · ${wait.what}, look ${looks + 1}` : tool;
}

/** Of the timer. */
export function waitSummary(tool: string, { what, command, lookMs }: Wait): string {
  return `${tool} · ${what}: ${command}; next look in ${inWords(lookMs)}`;
}

function inWords(ms: number): string {
  if (ms >= 86_400_000) return `${Math.round(ms / 86_400_000)} d`;
  if (ms >= 3_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return ms >= 60_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 1_000)} s`;
}

/** Shows the wait below what the workflow says of itself; the function that it returns takes it away again. */
export function showWait(tool: string, { what, command }: Wait): () => void {
  const memory = executionMemory();
  if (memory.waits.size === 0) memory.details = getCurrentDetails();
  const line = { text: `**${tool}** is ${what}: \`${command}\`` };
  memory.waits.add(line);
  show();
  return () => {
    memory.waits.delete(line);
    show();
  };
}

function show(): void {
  const { waits, details } = executionMemory();
  const before = details === '' ? [] : [details];
  setCurrentDetails([...before, ...[...waits].map(({ text }) => text)].join('\n\n'));
}
