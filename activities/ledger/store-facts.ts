// The one statement that changes an effect's state: facts, their fold and a permit's claim, on the row as it was seen.
import {
  type Body,
  type BodyOwner,
  bytesBody,
  jsonBody,
  partlySecret,
  secretMembers,
  textBody,
} from '../encryption/sealed-body.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Observation } from '../../domain/rules/observe.ts';
import type { Held } from '../../domain/rules/permit.ts';
import { isRaceLost, type QueryOptions, type Statements } from './database.ts';
import type { AppendAnswer, EffectRecord, FactEntry, FrozenRequest } from './effect-ledger.ts';
import { parameters, type Parameters } from './parameters.ts';

/** What is stored at once, or not at all. */
export interface Change {
  readonly entries: readonly FactEntry[];
  readonly observation: Observation;
  /** Of a permit: whose it is from now on. */
  readonly claim?: Held & { readonly leaseMs: number; readonly isFirst: boolean };
  /** Of a first permit; where bytes are stored already the race is lost. */
  readonly request?: FrozenRequest | null;
  /** The run's control row is locked, and stops the change when it says pause or cancel. @default false */
  readonly asksControl?: boolean;
  /** Nothing is stored in a ledger that is older than the one that has told its run this. @default not asked */
  readonly seqSeen?: number | undefined;
}

/** What only the database knows of a change. */
interface ChangedRow {
  version: string;
  lease_until: Date | null;
  first_sent_at: Date | null;
  probe_failing_since: Date | null;
  seq: number;
}

/** Undefined when the row is no longer the one that `seen` was read from, a control stops it, or the ledger is older. */
export async function storeFacts(
  statements: Statements,
  seen: EffectRecord,
  change: Change,
  options?: QueryOptions,
): Promise<AppendAnswer | undefined> {
  const { $, values } = parameters();
  const parts = [
    ...(change.asksControl ? [readControl($, seen)] : []),
    changeRow($, seen, change),
    addFacts($, seen, change.entries),
    ...(change.request ? [freeze($, seen, change.request)] : []),
    ...(change.observation.becameDefinite ? [RAISE_SEQ] : []),
  ];
  const seq = change.observation.becameDefinite ? '(select seq from raised)' : heldSeq('changed');
  const text = `with ${parts.join(', ')}
    select version, lease_until, first_sent_at, probe_failing_since, ${seq} as seq from changed`;
  const [row] = await statements.query<ChangedRow>(text, values, { ...options, isPrepared: true });
  return row && { record: toChanged(seen, change, row), seq: row.seq };
}

/** The record as it was seen with what was stored: reading all of it back would cost as much as storing it. */
function toChanged(
  seen: EffectRecord,
  { observation, claim }: Change,
  row: ChangedRow,
): EffectRecord {
  return {
    ...seen,
    ...observation.after,
    ...(claim && pickHeld(claim)),
    version: row.version,
    leaseUntilMs: row.lease_until?.getTime() ?? null,
    firstSentAtMs: row.first_sent_at?.getTime() ?? null,
    probeFailingSinceMs: row.probe_failing_since?.getTime() ?? null,
  };
}

function pickHeld({ fence, claimOrder, claimedBy }: Held): Held {
  return { fence, claimOrder, claimedBy };
}

/** Undefined when another transaction won: nothing has happened, and a look says what has. */
export async function unlessRaceLost<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isRaceLost(error)) return undefined;
    throw error;
  }
}

type Place = Parameters['$'];

/** Whoever pauses meanwhile waits for this lock, or is seen. */
function readControl($: Place, { tenant, runKey }: EffectRecord): string {
  return `control as materialized (
    select paused_at is not null or cancelled_at is not null as stops
    from pawl.controls where tenant = ${$(tenant)} and run_key = ${$(runKey)} for share)`;
}

/** The row's version is its xmin: where anything has changed it since, this changes nothing. */
function changeRow(
  $: Place,
  seen: EffectRecord,
  { observation, claim, asksControl = false, seqSeen }: Change,
): string {
  const { after, leaseMs } = observation;
  const { state } = after;
  const lease = claim?.leaseMs ?? leaseMs;
  const sets = [
    `status = ${$(state.status)}, sends = ${$(state.sends)}, absents = ${$(state.absents)}`,
    `has_conflict = ${$(state.conflict)}, is_pending = ${$(state.isPending ?? false)}`,
    `code = ${$(state.code ?? null)}, reason = ${$(textBody(seen, 'effects.reason', state.reason ?? null))}`,
    `output = ${$(after.output === null ? null : jsonBody(seen, 'effects.output', after.output))}`,
    `output_problem = ${$(textBody(seen, 'effects.output_problem', after.outputProblem))}, same_as = ${$(after.sameAs)}`,
    `receiver_reference = ${$(after.reference)}, holds_identity = ${$(after.holdsIdentity)}`,
    'updated_at = clock_timestamp()',
    ...(lease === undefined ? [] : [`lease_until = ${fromNow($(lease))}`]),
    ...(claim ? [toClaim($, claim)] : []),
    ...toLooking(seen, observation),
  ];
  return `changed as (
    update pawl.effects set ${sets.join(', ')}
    where tenant = ${$(seen.tenant)} and id = ${$(seen.id)} and xmin = ${$(seen.version)}::xid
      ${asksControl ? 'and not exists (select 1 from control where stops)' : ''}
      ${seqSeen === undefined ? '' : `and ${heldSeq('effects')} >= ${$(seqSeen)}`}
    returning tenant, id, root_key, xmin::text as version, lease_until, first_sent_at, probe_failing_since)`;
}

function toLooking(
  { probeFailingSinceMs, workflowId }: EffectRecord,
  { isLookFailing, isNews }: Observation,
): string[] {
  const failing = isLookFailing
    ? ['probe_failing_since = coalesce(probe_failing_since, clock_timestamp())']
    : probeFailingSinceMs === null
      ? []
      : ['probe_failing_since = null'];
  return isNews && workflowId !== null ? [...failing, 'wake_due = true'] : failing;
}

function toClaim($: Place, { fence, claimOrder, claimedBy, isFirst }: Held & { isFirst: boolean }) {
  const claimed = `fence = ${$(fence)}, claim_order = ${$(claimOrder)}, claimed_by = ${$(claimedBy)}`;
  return isFirst ? `${claimed}, first_sent_at = clock_timestamp()` : claimed;
}

function fromNow(milliseconds: string): string {
  return `clock_timestamp() + ${milliseconds}::double precision * interval '1 millisecond'`;
}

/** Behind the facts that are there: one that was added since would have changed the row. */
function addFacts($: Place, owner: BodyOwner, entries: readonly FactEntry[]): string {
  const facts = partlySecret(owner, 'effect_facts.data', entries.map(toStoredFact));
  return `said as (
    insert into pawl.effect_facts (tenant, effect_id, ordinal, kind, source, attempt, fence, data)
    select c.tenant, c.id, f.nth + coalesce((
        select max(ordinal) from pawl.effect_facts where tenant = c.tenant and effect_id = c.id), 0),
      f.fact->>'kind', f.fact->>'source', (f.fact->>'attempt')::integer, (f.fact->>'fence')::bigint, f.fact->'data'
    from changed c, jsonb_array_elements(${$(facts)}::jsonb) with ordinality f(fact, nth))`;
}

/** Words and values of receivers and people; ids and names stay readable for SQL. */
const SECRET_OF_FACT = ['output', 'reason', 'message', 'evidence'];

function toStoredFact(entry: FactEntry): Record<string, unknown> {
  const { kind, ...rest } = entry.fact;
  const { source = 'engine', ...data } = rest as { source?: string } & Record<string, Json>;
  const { attempt = null, fence = null, details } = entry;
  return {
    kind,
    source,
    attempt,
    fence,
    data: secretMembers('effect_facts.data', { ...data, ...details }, SECRET_OF_FACT),
  };
}

/** The parameters of a stored request behind its method. */
export function toRequestBodies(
  owner: BodyOwner,
  { url, headers, body }: FrozenRequest,
): readonly (Body | null)[] {
  return [
    textBody(owner, 'effect_requests.url', url),
    jsonBody(owner, 'effect_requests.headers', headers),
    bytesBody(owner, 'effect_requests.body', body),
  ];
}

function freeze($: Place, owner: BodyOwner, request: FrozenRequest): string {
  const [url, headers, body] = toRequestBodies(owner, request);
  return `frozen as (
    insert into pawl.effect_requests (tenant, effect_id, method, url, headers, body)
    select tenant, id, ${$(request.method)}, ${$(url)}, ${$(headers)}::jsonb, ${$(body)}::bytea from changed)`;
}

const RAISE_SEQ = `raised as (
  insert into pawl.run_seqs (tenant, root_key, seq) select tenant, root_key, 1 from changed
  on conflict (tenant, root_key) do update set seq = run_seqs.seq + 1 returning seq)`;

/** The sequence of the run that `effect` belongs to, by the name of a table or a CTE. */
function heldSeq(effect: string): string {
  return `coalesce((
    select s.seq from pawl.run_seqs s where s.tenant = ${effect}.tenant and s.root_key = ${effect}.root_key), 0)`;
}
