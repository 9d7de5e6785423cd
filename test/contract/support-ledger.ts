// A migrated PostgreSQL of its own for one test file, and the ledger on it with what happens beside it.
import { migrate } from '../../activities/ledger/migrate.ts';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
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
  close(): Promise<void>;
}

/** A ledger on a fresh database; `role` is the role that the ledger itself connects with. */
export async function createLedgerBench({ role }: { role?: string } = {}): Promise<LedgerBench> {
  const template = await ensureTemplateDatabase('ledger_template', async (url) => {
    await migrate(url);
  });
  const made = await createTestDatabase({ template });
  const database = openDatabase({ url: made.url });
  const engine = role === undefined ? database : openDatabase({ url: asRole(made.url, role) });
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
