// What the model is to be told next: everything that has happened since its last answer.
import type { ModelStepResult } from '../../domain/rules/run.ts';
import type { TranscriptEntry } from '../transcripts/transcript.ts';
import { requireCurrentLedger } from '../ledger/rolled-back.ts';
import type { ModelStepInput } from './model-step-input.ts';
import { toolResults } from './previous-calls.ts';
import type { RunDeps } from './run-deps.ts';

/** What the transcript does not hold yet: last turn's results, steering messages, a complaint about the answer. */
export interface FreshEntries {
  readonly entries: readonly TranscriptEntry[];
  readonly messageIds: readonly string[];
}

/** Reads them; calls that were never sent are withdrawn on the way, so that none is sent behind the model's back. */
export async function newEntries(deps: RunDeps, input: ModelStepInput): Promise<FreshEntries> {
  const { tenant, rootKey, turn, generation } = input.address;
  const { runKey, seq } = input;
  return deps.database.transaction(
    async (tx) => {
      // Before anything is withdrawn: on an older ledger what was sent looks as if it had never been.
      await requireCurrentLedger(tx, { tenant, runKey, rootKey, turns: turn - 1, seq });
      const results = await toolResults(tx, {
        tenant,
        runKey: input.runKey,
        turn: turn - 1,
        generation,
      });
      const { rows: messages } = await tx.query<{ id: string; text: string; author: string }>(
        `select id, text, author from pawl.messages
         where tenant = $1 and run_key = $2 and consumed_turn is null order by created_at, id`,
        [tenant, input.runKey],
      );
      const { rows: previous } = await tx.query<{ result: ModelStepResult }>(
        `select result from pawl.model_steps
         where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
        [tenant, input.runKey, turn - 1, generation],
      );
      const complaint = complaintAbout(previous[0]?.result);
      const steering = messages.map(({ text, author }) => userEntry(`steer:${author}`, text));
      return {
        entries: [...results, ...complaint, ...steering],
        messageIds: messages.map(({ id }) => id),
      };
    },
    { durable: false },
  );
}

function complaintAbout(previous: ModelStepResult | undefined): readonly TranscriptEntry[] {
  if (previous?.kind !== 'answered' || !previous.final || previous.final.isValid) return [];
  const text = `Your answer does not match the required output: ${previous.final.problem ?? ''}. Answer again.`;
  return [userEntry('pawl', text)];
}

function userEntry(source: string, text: string): TranscriptEntry {
  return { role: 'user', source, parts: [{ kind: 'text', text }] };
}
