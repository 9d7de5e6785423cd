// The effect ledger in PostgreSQL: every permission and every fact is one short transaction on the primary.
import { grant, refuseClaim, stoppedBy } from '../../domain/rules/permit.ts';
import type { CrashHook } from '../effects/crash-points.ts';
import { noCrash } from '../effects/crash-points.ts';
import { wireKey } from '../effects/fingerprint.ts';
import { appendFacts, readEffect } from './append-facts.ts';
import type { Database, Transaction } from './database.ts';
import {
  type BeginAnswer,
  type Control,
  type DispatchAnswer,
  type DispatchRequest,
  type EffectIntent,
  type EffectLedger,
  type EffectRecord,
  type FrozenRequest,
  toView,
  type TransactAnswer,
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
import { foldNotices, hasNotices } from './notices.ts';
import { createToolTransaction } from './tool-transaction.ts';

export interface PostgresEffectLedgerOptions {
  /** Called when a commit is on the wire and its answer is not there yet. @default nothing happens */
  readonly crash?: CrashHook;
}

/** The ledger on a migrated database. */
export async function createPostgresEffectLedger(
  database: Database,
  { crash = noCrash }: PostgresEffectLedgerOptions = {},
): Promise<EffectLedger> {
  const secret = await readKeySecret(database);
  return {
    intend: (intents) =>
      database.transaction((tx) => insertIntents(tx, secret, intents), {
        durable: false,
        whileCommitting: () => crash('intent-commit', intents[0]?.tool ?? ''),
      }),
    begin: (tenant, id, rootKey) =>
      // Everything that this may write is written again when it is lost: the durable commits are dispatch and append.
      database.transaction((tx) => begin(tx, tenant, id, rootKey), { durable: false }),
    dispatch: (request) =>
      database.transaction((tx) => dispatch(tx, request), {
        whileCommitting: (answer) =>
          answer.kind === 'granted' && crash('dispatch-commit', answer.record.tool),
      }),
    transact: (request, work) =>
      database.transaction((tx) => transact(tx, request, work), {
        whileCommitting: (answer) =>
          answer.kind === 'settled' && crash('settle-commit', answer.record.tool),
      }),
    append: (tenant, id, entries) =>
      database.transaction((tx) => appendFacts(tx, tenant, id, entries), {
        whileCommitting: ({ record }) => crash('settle-commit', record.tool),
      }),
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
  // Asked before the effect is read: what is folded in meanwhile is then seen, by state and sequence alike.
  const isFolding = await hasNotices(tx, tenant, id);
  const found = await readEffect(tx, tenant, id);
  if (!found) return undefined;
  const record = isFolding ? await foldNotices(tx, found) : found;
  // The run is told of what was folded in, and of its sequence: losing that would look like a rolled-back ledger.
  if (isFolding) await tx.query('set local synchronous_commit to default');
  const control = await readControl(tx, tenant, record.runKey, false);
  const { seq, nowMs } = await readStanding(tx, tenant, rootKey);
  return {
    record,
    control,
    identity: await identityStanding(tx, record),
    decision: await readApprovalStanding(tx, record),
    seq,
    nowMs,
  };
}

async function readStanding(
  tx: Transaction,
  tenant: string,
  rootKey: string,
): Promise<Pick<BeginAnswer, 'seq' | 'nowMs'>> {
  const { rows } = await tx.query<{ seq: number; now: Date }>(
    `select coalesce((select seq from pawl.run_seqs where tenant = $1 and root_key = $2), 0) as seq,
            clock_timestamp() as now`,
    [tenant, rootKey],
  );
  return { seq: rows[0]?.seq ?? 0, nowMs: rows[0]?.now.getTime() ?? 0 };
}

async function dispatch(tx: Transaction, request: DispatchRequest): Promise<DispatchAnswer> {
  const record = await permit(tx, request);
  if ('kind' in record) return record;
  const frozen = await freezeRequest(tx, record, request.request);
  const granted = await takeClaim(tx, record, request);
  return { kind: 'granted', record: granted, request: frozen, isResend: record.state.sends > 0 };
}

type Permission = Omit<DispatchRequest, 'request'>;

async function transact(
  tx: Transaction,
  request: Permission,
  work: Parameters<EffectLedger['transact']>[1],
): Promise<TransactAnswer> {
  const record = await permit(tx, request);
  if ('kind' in record) return record;
  const granted = await takeClaim(tx, record, request);
  const hands = createToolTransaction(tx, request.claim.leaseMs);
  const { entries } = await hands.run((open) => work(open, granted));
  return { kind: 'settled', ...(await appendFacts(tx, record.tenant, record.id, entries)) };
}

/** The effect, locked, when it may be sent now; otherwise why not. */
async function permit(
  tx: Transaction,
  request: Permission,
): Promise<EffectRecord | Exclude<DispatchAnswer, { kind: 'granted' }>> {
  const { tenant, id, claim } = request;
  const record = await readEffect(tx, tenant, id, 'for update');
  if (!record) return { kind: 'not-permitted', reason: 'the ledger does not know this effect' };
  const stop = stoppedBy(await readControl(tx, tenant, record.runKey, true), record);
  if (stop) return { kind: stop };
  const reason = refuseClaim(toView(record), claim, await databaseClock(tx));
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
async function takeClaim(
  tx: Transaction,
  record: EffectRecord,
  { claim, ignoresIdentity }: Permission,
): Promise<EffectRecord> {
  const { fence, claimOrder, claimedBy } = grant(record, claim);
  await tx.query(
    `update pawl.effects set fence = $3, claim_order = $4, claimed_by = $5,
       lease_until = clock_timestamp() + $6 * interval '1 millisecond',
       first_sent_at = case when sends = 0 then clock_timestamp() else first_sent_at end,
       holds_identity = holds_identity or ($7 and identity_hash is not null)
     where tenant = $1 and id = $2`,
    [record.tenant, record.id, fence, claimOrder, claimedBy, claim.leaseMs, !ignoresIdentity],
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
