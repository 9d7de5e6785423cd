// The effect ledger in PostgreSQL: every permission and every fact is one short transaction on the primary.
import type { CrashHook } from '../effects/crash-points.ts';
import { noCrash } from '../effects/crash-points.ts';
import { wireKey } from '../effects/fingerprint.ts';
import { appendFacts, appendToSeen, concludeFacts } from './append-facts.ts';
import { type Database, inside, type Transaction } from './database.ts';
import {
  type BeginAnswer,
  type EffectIntent,
  type EffectLedger,
  NOT_AS_STORED,
  type Permission,
  type TransactAnswer,
} from './effect-ledger.ts';
import { intend, type RequestRow, toFrozenRequest, toIntentRows } from './effect-rows.ts';
import { intendAndLook, type Look, lookAt } from './look.ts';
import { foldNotices } from './notices.ts';
import { createOpenEffects } from './open-effects.ts';
import { dispatch, dispatchSeen, permit, takeClaim } from './permit-effect.ts';
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
    begin: (tenant, id, rootKey, intent) =>
      begin(database, { tenant, id, rootKey }, intent && { intent, secret, crash }),
    async dispatch(request) {
      const whileSending = (): unknown => crash('dispatch-commit', request.seen?.tool ?? '');
      const granted = await dispatchSeen(database, request, { whileSending });
      if (granted) return granted;
      if (request.asStored) return NOT_AS_STORED;
      return database.transaction((tx) => dispatch(tx, request), {
        whileCommitting: (answer) =>
          answer.kind === 'granted' && crash('dispatch-commit', answer.record.tool),
      });
    },
    transact: (request, work) =>
      database.transaction((tx) => transact(tx, request, work), {
        whileCommitting: (answer) =>
          answer.kind === 'settled' && crash('settle-commit', answer.record.tool),
      }),
    async append(tenant, id, entries, seen) {
      const whileSending = (): unknown => crash('settle-commit', seen?.tool ?? '');
      const answer = seen && (await appendToSeen(database, seen, entries, { whileSending }));
      if (answer) return answer;
      return database.transaction((tx) => appendFacts(tx, tenant, id, entries), {
        whileCommitting: ({ record }) => crash('settle-commit', record.tool),
      });
    },
    async conclude(seen, entries) {
      const whileSending = (): unknown => crash('settle-commit', seen.tool);
      const answer = await appendToSeen(database, seen, entries, { whileSending });
      if (answer) return answer;
      return database.transaction((tx) => concludeFacts(tx, seen, entries), {
        whileCommitting: (stored) => stored && crash('settle-commit', seen.tool),
      });
    },
    ...createOpenEffects(database),
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

/** Inserts intents inside a transaction of the caller. */
export async function insertIntents(
  tx: Transaction,
  secret: Buffer,
  intents: readonly EffectIntent[],
): Promise<void> {
  const rows = toIntentRows(intents, (id) => wireKey(secret, id));
  await tx.query(`with ${intend('$1')} select 1 from intended`, [rows]);
}

interface Sought {
  readonly tenant: string;
  readonly id: string;
  readonly rootKey: string;
}

interface Missing {
  readonly intent: EffectIntent;
  readonly secret: Buffer;
  readonly crash: CrashHook;
}

async function begin(
  database: Database,
  { tenant, id, rootKey }: Sought,
  missing: Missing | undefined,
): Promise<BeginAnswer | undefined> {
  const made = missing && (await intendFirst(database, missing, rootKey));
  const look = made ?? (await lookAt(database, tenant, id, rootKey));
  if (!look?.isNoticed) return look;
  // The run is told of what is folded in, and of its sequence: losing that would look like a rolled-back ledger.
  return database.transaction(async (tx) => {
    await foldNotices(tx, look.record);
    return lookAt(inside(tx), tenant, id, rootKey);
  });
}

function intendFirst(
  database: Database,
  { intent, secret, crash }: Missing,
  rootKey: string,
): Promise<Look | undefined> {
  const row = toIntentRows([intent], (id) => wireKey(secret, id));
  return intendAndLook(database, row, rootKey, {
    whileSending: () => crash('intent-commit', intent.tool),
  });
}

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
