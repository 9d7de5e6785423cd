// A migrated PostgreSQL of its own for one test file, and the ledger on it with what happens beside it.
import { randomBytes } from 'node:crypto';
import { createConfiguredKeys } from '../../activities/encryption/encryption.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import type {
  EffectIntent,
  EffectLedger,
  EffectRecord,
} from '../../activities/ledger/effect-ledger.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  ensureTemplateDatabase,
} from '../../devstack/test-database.ts';
import type { LedgerUnderTest, StoredFact } from '../../testing/effect-ledger-fixture.ts';

export interface LedgerBench extends LedgerUnderTest {
  readonly url: string;
  /** The owner's way in, for what no role of Pawl may do. */
  readonly database: Database;
  /** For this one effect so much time passes: its lease and its key are older then, and nobody has waited. */
  pass(effect: EffectIntent, delayMs: number): Promise<void>;
  /** Its look-ups have been failing for so much longer, if they fail. */
  passFailing(effect: EffectIntent, delayMs: number): Promise<void>;
  close(): Promise<void>;
}

/** `PAWL_TEST_ENCRYPTION=1`: the same contract with every body sealed. */
const keys =
  process.env['PAWL_TEST_ENCRYPTION'] === '1'
    ? createConfiguredKeys(`k1:${randomBytes(32).toString('base64')}`)
    : undefined;

/** A ledger on a fresh database; `role` is the role that the ledger itself connects with. */
export async function createLedgerBench({ role }: { role?: string } = {}): Promise<LedgerBench> {
  const template = await ensureTemplateDatabase('ledger_template', async (url) => {
    await migrate(url);
  });
  const made = await createTestDatabase({ template });
  const database = openDatabase({ url: made.url, keys });
  const engine =
    role === undefined ? database : openDatabase({ url: asRole(made.url, role), keys });
  return {
    url: made.url,
    database,
    ledger: await createPostgresEffectLedger(engine),
    async setControl(tenant, runKey, { paused = false, cancelled = false }) {
      await database.query(
        `insert into pawl.controls (tenant, run_key, paused_at, cancelled_at)
         values ($1, $2, case when $3 then now() end, case when $4 then now() end)
         on conflict (tenant, run_key) do update
         set paused_at = excluded.paused_at, cancelled_at = excluded.cancelled_at`,
        [tenant, runKey, paused, cancelled],
      );
    },
    async settle({ tenant, id: effectId }, { id, outcome, output }) {
      await database.query(
        `insert into pawl.settlements (tenant, effect_id, id, outcome, output, evidence, settled_by)
         values ($1, $2, $3, $4, $5, 'seen in the statement', 'ada')`,
        [tenant, effectId, id, outcome, output === undefined ? null : JSON.stringify(output)],
      );
    },
    facts: ({ tenant, id }) =>
      database.query<StoredFact & Record<string, unknown>>(
        `select ordinal, kind, source, fence, data from pawl.effect_facts
         where tenant = $1 and effect_id = $2 order by ordinal`,
        [tenant, id],
      ),
    async pass({ tenant, id }, delayMs) {
      await database.query(
        `update pawl.effects set lease_until = lease_until - passed, first_sent_at = first_sent_at - passed
         from (values ($3::double precision * interval '1 millisecond')) as time (passed)
         where tenant = $1 and id = $2`,
        [tenant, id, delayMs],
      );
    },
    async passFailing({ tenant, id }, delayMs) {
      await database.query(
        `update pawl.effects set probe_failing_since = probe_failing_since - $3 * interval '1 millisecond'
         where tenant = $1 and id = $2 and probe_failing_since is not null`,
        [tenant, id, delayMs],
      );
    },
    async close() {
      if (engine !== database) await engine.close();
      await database.close();
      await dropTestDatabase(made);
    },
  };
}

/** The same database, as another role. */
export function asRole(url: string, role: string): string {
  const { href } = Object.assign(new URL(url), {
    search: `?options=${encodeURIComponent(`-c role=${role}`)}`,
  });
  return href;
}

/** The ledger as the engine asks it, with the effect as it was seen: just now, or (`isStale`) when it was first asked of. */
export function withLooks(ledger: EffectLedger, { isStale = false } = {}): EffectLedger {
  const first = new Map<string, EffectRecord>();
  const see = async (tenant: string, id: string): Promise<EffectRecord | undefined> => {
    const key = `${tenant} ${id}`;
    const seen = first.get(key) ?? (await ledger.begin(tenant, id, ''))?.record;
    if (seen && isStale) first.set(key, seen);
    return seen;
  };
  return {
    ...ledger,
    async intend(intents) {
      await ledger.intend(intents);
      for (const { tenant, id } of intents) await see(tenant, id);
    },
    dispatch: async (request) =>
      ledger.dispatch({
        ...request,
        seen: request.seen ?? (await see(request.tenant, request.id)),
      }),
    append: async (tenant, id, entries, seen) =>
      ledger.append(tenant, id, entries, seen ?? (await see(tenant, id))),
  };
}
