// What the model is to be told next: everything that has happened since its last answer.
import { inside } from '../ledger/database.ts';
import { requireCurrentLedger, requireHeld } from '../ledger/rolled-back.ts';
import type { TranscriptEntry, TranscriptHead } from '../transcripts/transcript.ts';
import type { ModelStepInput } from './model-step-input.ts';
import { hasOpenCalls, skipUnsent, toToolResults } from './previous-calls.ts';
import type { RunDeps } from './run-deps.ts';
import { type Complaint, readTurn, type TurnView } from './turn-view.ts';

/** What the transcript does not hold yet: last turn's results, steering messages, a complaint about the answer. */
export interface FreshEntries {
  readonly entries: readonly TranscriptEntry[];
  readonly messageIds: readonly string[];
  /** Behind which they are appended. */
  readonly head: TranscriptHead;
}

/** Calls that were never sent are withdrawn first, so that none is sent behind the model's back. */
export async function newEntries(
  deps: RunDeps,
  input: ModelStepInput,
  view: TurnView,
): Promise<FreshEntries> {
  // Before anything is withdrawn: on an older ledger what was sent looks as if it had never been.
  requireHeld(view.held, { turns: input.address.turn - 1, seq: input.seq });
  return toFresh(hasOpenCalls(view.calls) ? await readClosed(deps, input, view) : view);
}

function readClosed(deps: RunDeps, input: ModelStepInput, { calls }: TurnView): Promise<TurnView> {
  const { tenant, rootKey, turn } = input.address;
  const { runKey, seq } = input;
  return deps.database.transaction(
    async (tx) => {
      await requireCurrentLedger(tx, { tenant, runKey, rootKey, turns: turn - 1, seq });
      await skipUnsent(tx, tenant, calls);
      return readTurn(inside(tx), input);
    },
    { durable: false },
  );
}

function toFresh({ calls, complaint, messages, head }: TurnView): FreshEntries {
  const steering = messages.map(({ text, author }) => userEntry(`steer:${author}`, text));
  return {
    entries: [...toToolResults(calls), ...toComplaint(complaint), ...steering],
    messageIds: messages.map(({ id }) => id),
    head,
  };
}

/** A refusal is not argued with: what is said next is up to the user. */
function toComplaint(complaint: Complaint | null): readonly TranscriptEntry[] {
  if (complaint === null || complaint.why === 'refused') return [];
  const { problem, why } = complaint;
  const text = why
    ? `Your last answer was not used: ${problem}. Nothing of it was carried out. ${ADVICE[why]}`
    : `Your answer does not match the required output: ${problem}. Answer again.`;
  return [userEntry('pawl', text)];
}

const ADVICE = {
  cut: 'Answer again, shorter or in smaller steps.',
  paused: 'Go on.',
  unusable: 'Answer again.',
} as const;

function userEntry(source: string, text: string): TranscriptEntry {
  return { role: 'user', source, parts: [{ kind: 'text', text }] };
}
