// The last activity of a run, and the one that parks a run which cannot go on: both only write the run's row.
import { ApplicationFailure } from '@temporalio/common';
import { FailureType } from '../../domain/rules/failure.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { RunResult } from '../../domain/rules/run.ts';
import type { Part } from '../../domain/rules/transcript.ts';
import { isEncryptionError } from '../encryption/encryption-error.ts';
import {
  type Body,
  type BodyOwner,
  jsonBody,
  partlySecret,
  secretMembers,
} from '../encryption/sealed-body.ts';
import { parseShown } from '../effects/carried-input.ts';
import { appendFacts } from '../ledger/append-facts.ts';
import { toStorable } from '../ledger/storable.ts';
import type { Transaction } from '../ledger/database.ts';
import { forgetContext } from '../transcripts/remembered-context.ts';
import type { RegisteredAgent } from './agent-registry.ts';
import { parseJson, textOf } from './final-answer.ts';
import { forgetAnswers } from './model-answers.ts';
import type { RunDeps } from './run-deps.ts';
import { LOST_AGENT } from './run-origin.ts';

export interface CloseInput {
  readonly v: 1;
  readonly tenant: string;
  readonly runKey: string;
  readonly result: RunResult;
}

/** What Temporal's UI shows of an answer; all of it is in the run's row. */
const INLINE_MAX_CHARS = 4_096;

/** Stores result and output; effects that were never sent are withdrawn. Returns the output when it is short. */
export async function closeRun(deps: RunDeps, input: CloseInput): Promise<Json> {
  const { tenant, runKey, result } = input;
  forgetContext(deps.database, tenant, runKey);
  // The schema is a user's code: nothing is locked while it runs.
  const output = result.kind === 'completed' ? await lastAnswer(deps, input) : null;
  return deps.database.transaction(async (tx) => {
    await refuseOlderLedger(tx, input);
    await withdrawUnsent(tx, input);
    await forgetAnswers(tx, input);
    await tx.query(
      `update pawl.runs set result = $3, output = $4, stuck_cause = null, model_wait = null,
         finished_at = coalesce(finished_at, clock_timestamp()), updated_at = clock_timestamp()
       where tenant = $1 and run_key = $2`,
      [
        tenant,
        runKey,
        partlySecret(input, 'runs.result', secretMembers('runs.result', result, ['reason'])),
        jsonBody(input, 'runs.output', output),
      ],
    );
    if (deps.isEncrypted) return null;
    return JSON.stringify(output).length <= INLINE_MAX_CHARS ? output : null;
  });
}

/** A ledger that lacks an answer of the run would call it finished with an earlier one. A cancel claims nothing. */
async function refuseOlderLedger(
  tx: Transaction,
  { tenant, runKey, result }: CloseInput,
): Promise<void> {
  if (result.kind === 'cancelled') return;
  const { rows } = await tx.query<{ turn: number }>(
    // A fork begins behind the turns that it has from its source.
    `select greatest(turn, (forked_from->>'turn')::integer - 1) as turn from pawl.runs
     where tenant = $1 and run_key = $2 for update`,
    [tenant, runKey],
  );
  const turn = rows[0]?.turn;
  if (turn !== undefined && turn >= result.turns) return;
  throw ApplicationFailure.nonRetryable(
    `The ledger is older than this run: it has seen ${result.turns} answers of the model, the ledger holds ` +
      `${turn ?? 'no such run'}. Nothing was stored. Restore the newer ledger, then \`pawl resume\`.`,
    FailureType.LedgerRolledBack,
  );
}

/** What was never sent is not sent any more. */
export async function withdrawUnsent(
  tx: Transaction,
  { tenant, runKey, result }: Pick<CloseInput, 'tenant' | 'runKey' | 'result'>,
): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(
    `select id from pawl.effects where tenant = $1 and run_key = $2 and status = 'intended'`,
    [tenant, runKey],
  );
  const code = result.kind === 'cancelled' ? 'cancelled' : 'skipped';
  for (const { id } of rows) {
    const fact = { kind: 'withdrawn', code, message: `the run ended: ${result.kind}` } as const;
    await appendFacts(tx, tenant, id, [{ fact }]);
  }
}

/** The last answer, a value where it is JSON; under the agent's output schema what that makes of it. */
async function lastAnswer(
  { database, registry }: RunDeps,
  { tenant, runKey }: CloseInput,
): Promise<Json> {
  const [row] = await database.query<{ agent: string; parts: string }>(
    `select r.agent, b.parts from pawl.runs r
     join pawl.transcript t using (tenant, run_key) join pawl.transcript_bodies b using (tenant, run_key, seq)
     where r.tenant = $1 and r.run_key = $2 and t.role = 'assistant' order by t.seq desc limit 1`,
    [tenant, runKey],
  );
  if (!row) return '';
  const text = textOf(JSON.parse(row.parts) as Part[]);
  const answer = parseJson(text);
  if (answer === undefined) return text;
  return toStorable(await applyOutput(registry.agents.get(row.agent), answer));
}

/** It was judged when it came: a schema that has changed since does not take the answer back. */
async function applyOutput(registered: RegisteredAgent | undefined, answer: Json): Promise<Json> {
  const schema = registered?.agent.output;
  if (!schema) return answer;
  const parsed = await parseShown(schema, answer, 'output');
  return parsed.kind === 'valid' ? parsed.shown : answer;
}

export interface ParkInput {
  readonly v: 1;
  readonly tenant: string;
  readonly runKey: string;
  /** Null: the run goes on. */
  readonly cause: { readonly type: string; readonly message: string } | null;
}

/** Marks a run as `stuck` with its cause, or clears the mark. A run that the ledger has lost gets a row to be seen by. */
export async function parkRun(deps: RunDeps, { tenant, runKey, cause }: ParkInput): Promise<void> {
  if (cause) await showLostRun(deps, tenant, runKey);
  const owner = { tenant, runKey };
  const store = (body: Body | null): Promise<unknown> =>
    deps.database.query(
      `update pawl.runs set stuck_cause = $3, updated_at = clock_timestamp()
       where tenant = $1 and run_key = $2`,
      [tenant, runKey, body],
    );
  if (!cause) await store(null);
  else await store(toCauseBody(owner, toStorable(cause))).catch(storeBareCause);

  /** What parks a run may be the very keys that its words are sealed with. */
  function storeBareCause(error: unknown): Promise<unknown> {
    if (!isEncryptionError(error) || !cause) throw error;
    const bare = { type: toStorable(cause.type), message: HIDDEN, at: new Date().toISOString() };
    return store(partlySecret(owner, 'runs.stuck_cause', bare));
  }
}

const HIDDEN = "(it can't be sealed with this worker's keys; Temporal's UI has it)";

/** Its type and time are for SQL; its words may be a receiver's. */
function toCauseBody(owner: BodyOwner, cause: NonNullable<ParkInput['cause']>): Body {
  const place = 'runs.stuck_cause';
  const stamped = { ...cause, at: new Date().toISOString() };
  return partlySecret(owner, place, secretMembers(place, stamped, ['message']));
}

/** Workflow id and run key are the same; input, requester and tree are not known any more. */
async function showLostRun({ database }: RunDeps, tenant: string, runKey: string): Promise<void> {
  await database.query(
    `insert into pawl.runs (tenant, run_key, root_key, workflow_id, agent, requester, input)
     values ($1, $2, $2, $2, $3, $3, 'null') on conflict (tenant, run_key) do nothing`,
    [tenant, runKey, LOST_AGENT],
  );
}
