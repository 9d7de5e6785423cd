// The effect ledger in PostgreSQL: every permission and every fact is one short transaction on the primary.
import { isSettled } from '../../domain/rules/effect.ts';
import { nextMove } from '../../domain/rules/next-move.ts';
import { wireKey } from '../effects/fingerprint.ts';
import { appendFacts, readEffect } from './append-facts.ts';
import type { Database, Transaction } from './database.ts';
import {
  type BeginAnswer,
  type Claim,
  type Control,
  type DispatchAnswer,
  type DispatchRequest,
  type EffectIntent,
  type EffectLedger,
  type EffectRecord,
  type FrozenRequest,
  toView,
} from './effect-ledger.ts';
import {
  type EffectRow,
  INSERT_INTENT,
  type RequestRow,
  toFrozenRequest,
  toIntentValues,
  toRecord,
} from './effect-rows.ts';
import { readApprovalStanding } from './approval-standing.ts';
import { identityStanding } from './identity-standing.ts';
import { foldSettlements } from './settlements.ts';

/** The ledger on a migrated database. */
export async function createPostgresEffectLedger(database: Database): Promise<EffectLedger> {
  const secret = await readKeySecret(database);
  return {
    intend: (intents) =>
      database.transaction((tx) => insertIntents(tx, secret, intents), { durable: false }),
    begin: (tenant, id, rootKey) =>
      // Everything that this may write is written again when it is lost: the durable commits are dispatch and append.
      database.transaction((tx) => begin(tx, tenant, id, rootKey), { durable: false }),
    dispatch: (request) => database.transaction((tx) => dispatch(tx, request)),
    append: (tenant, id, entries) =>
      database.transaction((tx) => appendFacts(tx, tenant, id, entries)),
    async findOverdue(limit) {
      const rows = await database.query<EffectRow>(
        `select * from pawl.effects where status = 'dispatched' and lease_until < clock_timestamp()
         order by lease_until limit $1`,
        [limit],
      );
      return rows.map(toRecord);
    },
    async request(tenant, id) {
      const [row] = await database.query<RequestRow>(
        'select method, url, headers, body from pawl.effect_requests where tenant = $1 and effect_id = $2',
        [tenant, id],
      );
      return row && toFrozenRequest(row);
    },
  };
}

/** Reads the secret of the wire keys; needed wherever intents are inserted. */
export async function readKeySecret(database: Database): Promise<Buffer> {
  const [meta] = await database.query<{ key_secret: Buffer }>('select key_secret from pawl.meta');
  if (!meta) throw new Error("The ledger's database is not migrated: pawl.meta is empty");
  return meta.key_secret;
}

/** Inserts intents inside a transaction of the caller (the model step's). */
export async function insertIntents(
  tx: Transaction,
  secret: Buffer,
  intents: readonly EffectIntent[],
): Promise<void> {
  for (const intent of intents) {
    const { rowCount } = await tx.query(
      INSERT_INTENT,
      toIntentValues(intent, wireKey(secret, intent.id)),
    );
    if (rowCount) await appendFacts(tx, intent.tenant, intent.id, [{ fact: { kind: 'intended' } }]);
  }
}

async function begin(
  tx: Transaction,
  tenant: string,
  id: string,
  rootKey: string,
): Promise<BeginAnswer | undefined> {
  const found = await readEffect(tx, tenant, id);
  if (!found) return undefined;
  const record = await foldSettlements(tx, found);
  const control = await readControl(tx, tenant, record.runKey, false);
  const { rows } = await tx.query<{ seq: number; now: Date }>(
    `select coalesce((select seq from pawl.run_seqs where tenant = $1 and root_key = $2), 0) as seq,
            clock_timestamp() as now`,
    [tenant, rootKey],
  );
  return {
    record,
    control,
    identity: await identityStanding(tx, record),
    decision: await readApprovalStanding(tx, record),
    seq: rows[0]?.seq ?? 0,
    nowMs: rows[0]?.now.getTime() ?? 0,
  };
}

async function dispatch(tx: Transaction, request: DispatchRequest): Promise<DispatchAnswer> {
  const { tenant, id, claim } = request;
  const record = await readEffect(tx, tenant, id, 'for update');
  if (!record) return { kind: 'not-permitted', reason: 'the ledger does not know this effect' };
  const control = await readControl(tx, tenant, record.runKey, true);
  if (control.cancelled && record.state.sends === 0) return { kind: 'cancelled' };
  if (control.paused) return { kind: 'paused' };
  const nowMs = await databaseClock(tx);
  const refusal = refuseClaim(record, claim, nowMs);
  if (refusal) return { kind: 'not-permitted', reason: refusal };
  // Effects are locked before the run's sequence, here as in every append: the other order would deadlock.
  if (!request.ignoresIdentity && record.state.sends === 0) {
    const standing = await identityStanding(tx, record, 'for update');
    if (standing.kind !== 'free') return { kind: 'identity', standing };
  }
  if (await isOverCallLimit(tx, record, request.callsPerRunMax)) {
    return { kind: 'limit', max: request.callsPerRunMax ?? 0 };
  }
  const frozen = await freezeRequest(tx, record, request.request);
  const granted = await grant(tx, record, claim, !request.ignoresIdentity);
  return { kind: 'granted', record: granted, request: frozen, isResend: record.state.sends > 0 };
}

function refuseClaim(record: EffectRecord, claim: Claim, nowMs: number): string | undefined {
  if (isSettled(record.state.status)) return `it is ${record.state.status} already`;
  if (record.claimOrder > claim.order) return 'a later attempt has claimed it';
  const isOthers = record.claimedBy !== null && record.claimedBy !== claim.by;
  const isLive = (record.leaseUntilMs ?? 0) > nowMs;
  if (record.claimOrder === claim.order && isOthers && isLive) return 'another attempt is at work';
  const move = nextMove(toView(record), nowMs);
  if (move.kind === 'send' || move.kind === 'resend') return undefined;
  return `the contract allows no send now (${move.kind})`;
}

/** Takes fence, lease and identity and appends `dispatched`, all in the caller's transaction. */
async function grant(
  tx: Transaction,
  record: EffectRecord,
  claim: Claim,
  takesIdentity: boolean,
): Promise<EffectRecord> {
  const fence = record.fence + 1;
  await tx.query(
    `update pawl.effects set fence = $3, claim_order = $4, claimed_by = $5,
       lease_until = clock_timestamp() + $6 * interval '1 millisecond',
       first_sent_at = case when sends = 0 then clock_timestamp() else first_sent_at end,
       holds_identity = holds_identity or ($7 and identity_hash is not null)
     where tenant = $1 and id = $2`,
    [record.tenant, record.id, fence, claim.order, claim.by, claim.leaseMs, takesIdentity],
  );
  const answer = await appendFacts(tx, record.tenant, record.id, [
    { fact: { kind: 'dispatched' }, attempt: claim.attempt, fence, details: { by: claim.by } },
  ]);
  return answer.record;
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
    [
      record.tenant,
      record.id,
      request.method,
      request.url,
      JSON.stringify(request.headers),
      request.body,
    ],
  );
  const { rows } = await tx.query<RequestRow>(
    'select method, url, headers, body from pawl.effect_requests where tenant = $1 and effect_id = $2',
    [record.tenant, record.id],
  );
  return rows[0] ? toFrozenRequest(rows[0]) : null;
}

/** The run's control row; with `locks`, a pause cannot slip between this look and our commit. */
async function readControl(
  tx: Transaction,
  tenant: string,
  runKey: string,
  locks: boolean,
): Promise<Control> {
  const { rows } = await tx.query<{ paused: boolean; cancelled: boolean }>(
    `select paused_at is not null as paused, cancelled_at is not null as cancelled
     from pawl.controls where tenant = $1 and run_key = $2 ${locks ? 'for share' : ''}`,
    [tenant, runKey],
  );
  return rows[0] ?? { paused: false, cancelled: false };
}

async function databaseClock(tx: Transaction): Promise<number> {
  const { rows } = await tx.query<{ now: Date }>('select clock_timestamp() as now');
  return rows[0]?.now.getTime() ?? 0;
}
