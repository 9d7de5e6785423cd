// Who may send: the permit with its claim and its frozen bytes, by one statement or under the locks of the rows it asks.
import { observe } from '../../domain/rules/observe.ts';
import { grant, refuseClaim, stoppedBy } from '../../domain/rules/permit.ts';
import { readEffect } from './append-facts.ts';
import { type Database, inside, type QueryOptions, type Transaction } from './database.ts';
import {
  type Control,
  type DispatchAnswer,
  type DispatchRequest,
  type EffectRecord,
  type FactEntry,
  type FrozenRequest,
  type Permission,
  toView,
} from './effect-ledger.ts';
import { type RequestRow, toFrozenRequest } from './effect-rows.ts';
import { identityStanding } from './identity-standing.ts';
import { toStorable } from './storable.ts';
import { type Change, storeFacts, toRequestBodies, unlessRaceLost } from './store-facts.ts';

/**
 * The permit for an effect that nobody was ever permitted to send, by one statement, on the row as the caller has seen
 * it; undefined: look closer. An identity that somebody else has taken meanwhile is a lost race: its index decides.
 */
export async function dispatchSeen(
  database: Database,
  request: DispatchRequest,
  options: QueryOptions,
): Promise<DispatchAnswer | undefined> {
  const { seen, asStored, claim, callsPerRunMax } = request;
  if (!seen || seen.state.status !== 'intended' || seen.fence > 0) return undefined;
  if (callsPerRunMax !== undefined || refuseClaim(toView(seen), claim, 0)) return undefined;
  const permit = permitted(seen, request);
  const change = {
    ...permit,
    request: request.request,
    asksControl: true,
    seqSeen: asStored?.seqSeen,
  };
  const granted = await unlessRaceLost(storeFacts(database, seen, change, options));
  return (
    granted && {
      kind: 'granted',
      record: granted.record,
      request: request.request,
      isResend: false,
    }
  );
}

/** The permit under locks, in the caller's transaction. */
export async function dispatch(tx: Transaction, request: DispatchRequest): Promise<DispatchAnswer> {
  const record = await permit(tx, request);
  if ('kind' in record) return record;
  const frozen = await freezeRequest(tx, record, request.request);
  const granted = await takeClaim(tx, record, request);
  return { kind: 'granted', record: granted, request: frozen, isResend: record.state.sends > 0 };
}

/** The effect, locked, when it may be sent now; otherwise why not. */
export async function permit(
  tx: Transaction,
  request: Permission,
): Promise<EffectRecord | Exclude<DispatchAnswer, { kind: 'granted' }>> {
  const { tenant, id, claim } = request;
  const record = await readEffect(tx, tenant, id, 'for update');
  if (!record) return { kind: 'not-permitted', reason: 'the ledger does not know this effect' };
  const { control, nowMs } = await lockControl(tx, tenant, record.runKey);
  const stop = stoppedBy(control, record);
  if (stop) return { kind: stop };
  const reason = refuseClaim(toView(record), claim, nowMs);
  if (reason !== undefined) return { kind: 'not-permitted', reason };
  // Effects are locked before the run's sequence, here as in every append: the other order would deadlock.
  if (!request.ignoresIdentity && record.state.sends === 0) {
    const standing = await identityStanding(tx, record, 'for update');
    if (standing.kind !== 'free') return { kind: 'identity', standing };
  }
  if (await isOverCallLimit(tx, record, request.callsPerRunMax)) {
    return { kind: 'limit', max: request.callsPerRunMax ?? 0 };
  }
  return record;
}

/** Takes fence, lease and identity and appends `dispatched`, all in the caller's transaction. */
export async function takeClaim(
  tx: Transaction,
  record: EffectRecord,
  permission: Permission,
): Promise<EffectRecord> {
  const granted = await storeFacts(inside(tx), record, permitted(record, permission));
  if (!granted) throw new Error(`The effect ${record.shortId} vanished under its lock`);
  return granted.record;
}

/** What a permit changes: a fence and a lease of its own, the identity, and the fact. */
function permitted(record: EffectRecord, { claim, ignoresIdentity, warrant }: Permission): Change {
  const { leaseMs, attempt, by } = claim;
  const held = grant(record, claim);
  const holdsIdentity = record.holdsIdentity || (record.identityHash !== null && !ignoresIdentity);
  const entry: FactEntry = {
    fact: { kind: 'dispatched' },
    attempt,
    fence: held.fence,
    details: { by, ...warrant },
  };
  return {
    entries: toStorable([entry]),
    observation: observe({ ...record, ...held, holdsIdentity }, [entry], true),
    claim: { ...held, leaseMs, isFirst: record.state.sends === 0 },
  };
}

async function isOverCallLimit(
  tx: Transaction,
  record: EffectRecord,
  max: number | undefined,
): Promise<boolean> {
  if (max === undefined || record.state.sends > 0) return false;
  // The run's seq row serialises the sends of one run, so that two calls cannot both be the last one allowed.
  await tx.query(
    `insert into pawl.run_seqs (tenant, root_key, seq) values ($1, $2, 0)
     on conflict (tenant, root_key) do update set seq = run_seqs.seq`,
    [record.tenant, record.rootKey],
  );
  const { rows } = await tx.query<{ used: number }>(
    `select count(*) as used from pawl.effects
     where tenant = $1 and run_key = $2 and tool = $3 and sends > 0`,
    [record.tenant, record.runKey, record.tool],
  );
  return (rows[0]?.used ?? 0) >= max;
}

async function freezeRequest(
  tx: Transaction,
  record: EffectRecord,
  request: FrozenRequest | null,
): Promise<FrozenRequest | null> {
  if (!request) return null;
  await tx.query(
    `insert into pawl.effect_requests (tenant, effect_id, method, url, headers, body)
     values ($1, $2, $3, $4, $5, $6) on conflict (tenant, effect_id) do nothing`,
    [record.tenant, record.id, request.method, ...toRequestBodies(record, request)],
  );
  const { rows } = await tx.query<RequestRow>(
    'select method, url, headers, body from pawl.effect_requests where tenant = $1 and effect_id = $2',
    [record.tenant, record.id],
  );
  return rows[0] ? toFrozenRequest(rows[0]) : null;
}

/** The run's control row, locked: a pause cannot slip between this look and our commit. And the clock behind it. */
async function lockControl(
  tx: Transaction,
  tenant: string,
  runKey: string,
): Promise<{ readonly control: Control; readonly nowMs: number }> {
  const { rows } = await tx.query<{ paused: boolean; cancelled: boolean; now: Date }>(
    `with control as materialized (
       select paused_at is not null as paused, cancelled_at is not null as cancelled
       from pawl.controls where tenant = $1 and run_key = $2 for share)
     select coalesce(c.paused, false) as paused, coalesce(c.cancelled, false) as cancelled,
       clock_timestamp() as now
     from (values (1)) one left join control c on true`,
    [tenant, runKey],
  );
  const { paused = false, cancelled = false, now } = rows[0] ?? {};
  return { control: { paused, cancelled }, nowMs: now?.getTime() ?? 0 };
}
