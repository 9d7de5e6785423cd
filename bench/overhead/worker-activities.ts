// The activities of the bare SDK's workers: real requests, and for one of them a transcript kept out of history.
import { Context } from '@temporalio/activity';
import type { Job } from './contenders.ts';
import {
  type Call,
  callOf,
  firstMessage,
  type Message,
  resultMessage,
  type Transferred,
} from './messages.ts';
import type { Steps } from './steps.ts';
import type { TranscriptTable } from './transcript-table.ts';

export interface BareActivities {
  askModel(job: Job, turn: number): Promise<Call | null>;
  transfer(job: Job, turn: number, call: Call): Promise<void>;
}

export interface ShippedActivities {
  askModelWith(messages: readonly Message[]): Promise<Message>;
  transferFor(call: Call): Promise<Transferred>;
}

/** Each of them heartbeats, should it take long. A retried step finds the row of the first one; the bank deduplicates by the key. */
export function createBareActivities(steps: Steps, transcript: TranscriptTable): BareActivities {
  return {
    askModel: (job, turn) =>
      withBeats(async () => {
        const messages = [firstMessage(job), ...(await transcript.read(job.run))];
        const answer = await transcript.store(job.run, 2 * turn - 1, await steps.ask(messages));
        return callOf(answer) ?? null;
      }),
    transfer: (job, turn, call) =>
      withBeats(async () => {
        const message = resultMessage(call, await steps.transfer(call.reference));
        await transcript.store(job.run, 2 * turn, message);
      }),
  };
}

const BEAT_MS = 1_500;

async function withBeats<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

export function createShippedActivities(steps: Steps): ShippedActivities {
  return {
    askModelWith: (messages) => steps.ask(messages),
    transferFor: ({ reference }) => steps.transfer(reference),
  };
}
