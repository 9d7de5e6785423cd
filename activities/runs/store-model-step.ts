// The one transaction at the end of a model step: answer, transcript, calls, intents, approvals and usage, or nothing.
import type { ModelStepResult } from '../../domain/rules/run.ts';
import type { Part } from '../../domain/rules/transcript.ts';
import { wireKey } from '../effects/fingerprint.ts';
import { Body, partlySecret, Secret, secretMembers } from '../encryption/sealed-body.ts';
import { inside, type Statements, type Transaction } from '../ledger/database.ts';
import { intend, toIntendedRecord, toIntentRows } from '../ledger/effect-rows.ts';
import { type Parameters, parameters } from '../ledger/parameters.ts';
import { requireCurrentLedger } from '../ledger/rolled-back.ts';
import { toStorable } from '../ledger/storable.ts';
import { unlessRaceLost } from '../ledger/store-facts.ts';
import {
  insertEntries,
  readHead,
  type TranscriptEntry,
  type TranscriptHead,
} from '../transcripts/transcript.ts';
import type { RegisteredAgent } from './agent-registry.ts';
import { insertApproval } from './approvals.ts';
import type { FreshEntries } from './fresh-entries.ts';
import { forgetAnswer, markUnused, type ModelCall } from './model-answers.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { Proposal } from './propose-call.ts';
import type { RunDeps } from './run-deps.ts';

export interface ModelStepRows {
  readonly input: ModelStepInput;
  readonly registered: RegisteredAgent;
  readonly call: ModelCall;
  /** What the transcript keeps of the answer. */
  readonly parts: readonly Part[];
  readonly fresh: FreshEntries;
  readonly proposals: readonly Proposal[];
  readonly result: ModelStepResult;
  readonly requester: string;
}

/** Stores the step and returns what is stored: of two attempts at the same step the first one counts. */
export async function storeModelStep(deps: RunDeps, rows: ModelStepRows): Promise<ModelStepResult> {
  // Nobody else writes to a run, as a rule: one statement then, and a closer look only where it found something else.
  const isAsked = rows.proposals.some(({ approval }) => approval !== undefined);
  const writing = (): Promise<Written | undefined> =>
    writeStep(deps.database, deps, rows, rows.fresh.head);
  const written = isAsked ? undefined : await unlessRaceLost(writing());
  if (!written) return deps.database.transaction((tx) => storeLocked(tx, deps, rows));
  noteStored(deps, rows, written.versions ?? {});
  return rows.result;
}

async function storeLocked(
  tx: Transaction,
  deps: RunDeps,
  rows: ModelStepRows,
): Promise<ModelStepResult> {
  const { tenant, rootKey, turn, generation } = rows.input.address;
  const { runKey, seq } = rows.input;
  // The run's row is the lock of its transcript.
  await tx.query('select 1 from pawl.runs where tenant = $1 and run_key = $2 for update', [
    tenant,
    runKey,
  ]);
  // The model takes its time: a ledger may have been restored meanwhile.
  await requireCurrentLedger(tx, { tenant, runKey, rootKey, turns: turn - 1, seq });
  const { rows: found } = await tx.query<{ result: ModelStepResult }>(
    `select result from pawl.model_steps
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
    [tenant, runKey, turn, generation],
  );
  if (found[0]) {
    await markUnused(inside(tx), rows.input, rows.call.id, 'another attempt was first');
    return found[0].result;
  }
  const head = await readHead(inside(tx), tenant, runKey);
  if (!(await writeStep(inside(tx), deps, rows, head))) {
    throw new Error(`The run ${runKey} vanished under its lock`);
  }
  const { registered, requester } = rows;
  for (const { intent, approval } of rows.proposals) {
    if (intent && approval) {
      await insertApproval(tx, { registered, intent, approval, requester });
    }
  }
  return rows.result;
}

/** All of the step but its approvals; undefined when the ledger is older than the run, and then nothing is written. */
async function writeStep(
  statements: Statements,
  deps: RunDeps,
  rows: ModelStepRows,
  head: TranscriptHead,
): Promise<Written | undefined> {
  const { $, values } = parameters();
  const { address, runKey } = rows.input;
  const { tenant, turn } = address;
  const intents = rows.proposals.flatMap(({ intent }) => (intent ? [intent] : []));
  const intentRows = toIntentRows(intents, (id) => wireKey(deps.keySecret, id));
  const stored =
    intents.length > 0 ? '(select json_object_agg(id, version) from intended)' : 'null';
  const parts = [
    updateRun($, rows),
    insertStep($, rows),
    forgetAnswer($, rows.input, rows.call.id),
    ...insertEntries($, { tenant, runKey, turn }, head, entriesOf(rows), HAS_RUN),
    ...(rows.fresh.messageIds.length > 0 ? [consumeMessages($, rows)] : []),
    ...(intents.length > 0 ? [intend($(intentRows), HAS_RUN)] : []),
    ...(rows.proposals.length > 0 ? [insertCalls($, rows)] : []),
  ];
  const text = `with ${parts.join(', ')} select ${stored} as versions from run`;
  const [written] = await statements.query<Written>(text, values, { isPrepared: true });
  return written;
}

interface Written {
  /** Of the rows of the intents, by id. */
  versions: Readonly<Record<string, string>> | null;
}

/** A step in which nobody is asked for an approval is sent next. Bodies that the ledger seals are not kept in the clear. */
function noteStored(
  { storedEffects, keySecret, isEncrypted = false }: RunDeps,
  { proposals }: ModelStepRows,
  versions: Readonly<Record<string, string>>,
): void {
  if (isEncrypted) return;
  for (const { intent } of proposals) {
    if (!intent) continue;
    const version = versions[intent.id];
    if (version === undefined) continue;
    storedEffects.note(toIntendedRecord(intent, wireKey(keySecret, intent.id), version));
  }
}

function entriesOf({ fresh, call, parts }: ModelStepRows): readonly TranscriptEntry[] {
  return [...fresh.entries, { role: 'assistant', source: call.requested, parts }];
}

type Place = Parameters['$'];

/** Without the run's row nothing of the step is written. */
const HAS_RUN = 'exists (select 1 from run)';

/** Holds as `requireCurrentLedger` does; the run's row is locked from here on. What the answer cost is in it already. */
function updateRun($: Place, { input }: ModelStepRows): string {
  const { tenant, rootKey, turn } = input.address;
  return `run as (
    update pawl.runs r set turn = ${$(turn)}, updated_at = clock_timestamp()
    where r.tenant = ${$(tenant)} and r.run_key = ${$(input.runKey)} and r.agent_hash is not null
      and greatest(r.turn, (r.forked_from->>'turn')::integer - 1) >= ${$(turn - 1)}
      and coalesce((select s.seq from pawl.run_seqs s
        where s.tenant = r.tenant and s.root_key = ${$(rootKey)}), 0) >= ${$(input.seq ?? 0)}
    returning r.tenant, r.run_key)`;
}

function insertStep($: Place, { input, call, result }: ModelStepRows): string {
  const { answer, usage } = call;
  const columns = {
    turn: input.address.turn,
    generation: input.address.generation,
    result: toResultBody(input, toStorable(result)),
    model_requested: call.requested,
    model_served: answer.servedModel,
    stop_reason: answer.stopReason,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cached_input_tokens: usage.cachedInputTokens,
    cost_micro_usd: usage.costMicroUsd,
    is_priced: call.isPriced,
    request_id: answer.requestId ?? null,
    attempt: call.attempt,
    duration_ms: call.durationMs,
  };
  return `step as (
    insert into pawl.model_steps (tenant, run_key, ${Object.keys(columns).join(', ')})
    select tenant, run_key, ${Object.values(columns).map($).join(', ')} from run)`;
}

/** What was called is for SQL; with what, and what is wrong with an answer, is the model's and the user's own. */
function toResultBody(
  { address: { tenant }, runKey }: ModelStepInput,
  result: ModelStepResult,
): ReturnType<typeof partlySecret> {
  const place = 'model_steps.result';
  const members = secretMembers(place, result, ['calls']);
  const final = 'final' in result && result.final;
  return partlySecret({ tenant, runKey }, place, {
    ...members,
    ...(final ? { final: secretMembers(place, final, ['problem']) } : {}),
  });
}

function consumeMessages($: Place, { input, fresh }: ModelStepRows): string {
  return `consumed as (
    update pawl.messages m set consumed_turn = ${$(input.address.turn)} from run
    where m.tenant = run.tenant and m.run_key = run.run_key and m.id = any(${$(fresh.messageIds)}))`;
}

const CALL_COLUMNS = [
  ...['turn', 'generation', 'call', 'tool', 'provider_call_id', 'arguments', 'verdict', 'rule'],
  ...[
    'policy_hash',
    'message',
    'summary',
    'effect_id',
    'approval_id',
    'child_run_key',
    'ended',
    'result',
  ],
].join(', ');
/** JSON's null would become SQL's. */
const GIVEN = CALL_COLUMNS.replace(' arguments,', " coalesce(arguments, 'null'),");

function insertCalls($: Place, { input, registered, proposals }: ModelStepRows): string {
  const { address, runKey } = input;
  const owner = { tenant: address.tenant, runKey };
  const value = proposals.map((proposal) => toCallRow(input, registered, proposal));
  const calls = new Body(owner, 'calls.arguments', { kind: 'json', value });
  return `called as (
    insert into pawl.calls (tenant, run_key, ${CALL_COLUMNS}, ended_at)
    select run.tenant, run.run_key, ${GIVEN},
      case when ended is null then null else clock_timestamp() end
    from run, jsonb_to_recordset(${$(calls)}::jsonb) as c(turn integer, generation integer, call text, tool text,
      provider_call_id text, arguments jsonb, verdict text, rule text, policy_hash text, message text, summary text,
      effect_id text, approval_id text, child_run_key text, ended text, result jsonb))`;
}

function toCallRow(
  { address }: ModelStepInput,
  { policy }: RegisteredAgent,
  { part, call, proposed, refusal, intent, approval }: Proposal,
): Record<string, unknown> {
  const message = refusal?.message;
  return {
    turn: address.turn,
    generation: address.generation,
    call,
    tool: toStorable(part.name),
    provider_call_id: toStorable(part.id),
    arguments: new Secret('calls.arguments', toStorable(part.malformed ?? part.arguments)),
    verdict: proposed.verdict,
    rule: proposed.rule,
    policy_hash: policy.hash,
    message: message === undefined ? null : new Secret('calls.message', toStorable(message)),
    summary: new Secret('calls.summary', toStorable(proposed.summary)),
    effect_id: intent?.id ?? null,
    approval_id: approval?.id ?? null,
    child_run_key: proposed.child?.runKey ?? null,
    ended: refusal ? (proposed.verdict === 'forbid' ? 'forbidden' : 'invalid') : null,
    result: refusal ? new Secret('calls.result', toStorable({ ok: false, ...refusal })) : null,
  };
}
