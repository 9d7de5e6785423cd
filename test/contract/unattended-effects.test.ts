// Effects that were sent and that nobody looks after: `pawl doubts` lists them, `pawl settle` says what to do, `pawl doctor` agrees.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../activities/clock.ts';
import { noCrash } from '../../activities/effects/crash-points.ts';
import { reconcile } from '../../activities/effects/reconcile.ts';
import { createConfiguredKeys } from '../../activities/encryption/encryption.ts';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { runCli } from '../../client/cli/program.ts';
import { type EffectView, PawlClient } from '../../client/index.ts';
import { newClaim, newIntent } from '../../testing/effect-ledger-fixture.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertEffect,
  insertRun,
  TENANT,
} from './client-fixtures.ts';
import { asRole } from './support-ledger.ts';

const NO_TEMPORAL = '127.0.0.1:1';
const KEYS = `k1:${randomBytes(32).toString('base64')}`;

let database: ClientDatabase;
let client: PawlClient;

beforeAll(async () => {
  database = await createClientDatabase();
  const databaseUrl = asRole(database.url, 'pawl_service');
  client = await PawlClient.connect({ databaseUrl, temporalAddress: NO_TEMPORAL });
});
afterAll(async () => {
  await client.close();
  await database.drop();
});

const ago = (time: string): string => `clock_timestamp() - interval '${time}'`;
const sent = async (leaseUntil: string, more = {}) =>
  insertEffect(database, await insertRun(database), {
    ...{ status: 'dispatched', sends: 1, leaseUntil },
    ...more,
  });

async function pawl(...argv: readonly string[]) {
  const io = createFakeIo({
    env: { DATABASE_URL: database.url, TEMPORAL_ADDRESS: NO_TEMPORAL },
  });
  return { code: await runCli(argv, io), out: io.stdout(), err: io.stderr() };
}

async function overdueLine(): Promise<string> {
  const { checks } = await client.doctor();
  return checks.find(({ name }) => name === 'overdue')?.detail ?? '';
}

const SETTLED = { outcome: 'applied', evidence: 'receipt 8812' } as const;

describe('sent, past its lease, and not looked after', () => {
  guarantee(
    'unattended-is-listed',
    'among those that somebody looks after → in the table, with --json and page by page; doctor counts the same',
    async () => {
      const late = await sent(ago('5 minutes'));
      const accepted = await sent(ago('4 minutes'));
      await database.query('update pawl.effects set is_pending = true where id = $1', [
        accepted.id,
      ]);
      const doubt = await insertEffect(database, await insertRun(database), {
        ...{ status: 'in_doubt', sends: 1, reason: 'the receiver offers nothing to ask' },
      });
      const attended = [
        await sent(ago('30 seconds')),
        await sent("clock_timestamp() + interval '1 hour'"),
        await sent(ago('5 minutes'), { status: 'applied' }),
        await sent(ago('5 minutes')),
      ];
      // The last one is past its lease, and its worker has just written what the receiver said.
      const active = 'update pawl.effects set updated_at = clock_timestamp() where id = $1';
      await database.query(active, [attended.at(-1)?.id]);
      const listed = [late, accepted, doubt].map(({ effect }) => effect);

      const { out } = await pawl('doubts');
      for (const effect of listed) expect(out).toContain(effect);
      for (const { effect } of attended) expect(out).not.toContain(effect);
      expect(out.replaceAll(/\s+│?\s*/g, ' ')).toMatch(
        /sent, no answer recorded, and not looked after since 20\S+Z: is a worker running, with the encryption keys\?/,
      );
      expect(out).not.toContain(`pawl settle ${late.effect}`);
      expect(out).toContain(`pawl settle ${accepted.effect} applied`);

      const json = JSON.parse((await pawl('doubts', '--json')).out) as EffectView[];
      expect(json.map(({ effect }) => effect)).toEqual(listed);
      expect(json).toMatchObject([
        { isUnattended: true, reason: expect.stringMatching(/^sent, no answer recorded/) },
        { isUnattended: true, reason: expect.stringMatching(/^accepted by the receiver, no out/) },
        { isUnattended: false, reason: 'the receiver offers nothing to ask' },
      ]);
      const pages: string[] = [];
      for (let after: string | undefined; pages.length < 4; after = pages.at(-1)) {
        const [next] = await client.doubts({ limit: 1, after });
        if (!next) break;
        pages.push(next.effect);
      }
      expect(pages).toEqual(listed);
      expect(await overdueLine()).toContain(
        `2 sent and past the lease without an outcome; the oldest ${late.effect}`,
      );
    },
  );

  guarantee(
    'unattended-is-listed',
    'pawl settle → refused with what to do, nothing written; accepted by the receiver → settled',
    async () => {
      const late = await sent(ago('5 minutes'));
      for (const word of ['applied', 'not-applied']) {
        const { code, err } = await pawl('settle', late.effect, word, '-e', 'receipt 8812');
        expect(code).toBe(2);
        expect(err).toMatch(/is dispatched, not in doubt: .* nobody has looked after it since\./);
        expect(err).toMatch(/Start a worker that has the encryption keys/);
      }
      expect(await database.query('select id from pawl.settlements')).toEqual([]);
      const accepted = await sent(ago('5 minutes'));
      const pending = 'update pawl.effects set is_pending = true where id = $1';
      await database.query(pending, [accepted.id]);
      await expect(client.settle(accepted.effect, SETTLED)).resolves.toMatchObject({
        isRepetition: false,
      });
    },
  );
});

describe('a worker without the encryption keys takes over', () => {
  guarantee(
    'unattended-is-listed',
    'it sends nothing and the effect is listed; the next worker with the keys makes it a doubt that is settled',
    async () => {
      const keyed = openDatabase({ url: database.url, keys: createConfiguredKeys(KEYS) });
      const keyless = openDatabase({ url: database.url });
      try {
        const { effect, id } = await dispatchAndDie(keyed);
        await expect(sweep(keyless)).rejects.toThrow('no keys are configured here');
        const [listed] = (await client.doubts()).filter((one) => one.effect === effect);
        expect(listed).toMatchObject({ status: 'dispatched', sends: 1, isUnattended: true });
        await sweep(keyed);
        const [doubt] = (await client.doubts()).filter((one) => one.effect === effect);
        expect(doubt).toMatchObject({ status: 'in_doubt', sends: 1, isUnattended: false });
        const holder = await PawlClient.connect({
          databaseUrl: database.url,
          temporalAddress: NO_TEMPORAL,
          encryptionKeys: KEYS,
        });
        await holder.settle(effect, SETTLED).finally(() => holder.close());
        await sweep(keyed);
        const [row] = await database.query('select status from pawl.effects where id = $1', [id]);
        expect(row).toEqual({ status: 'applied' });
      } finally {
        await keyed.close();
        await keyless.close();
      }
    },
  );

  it('nothing is on its way → doctor says so in the same words', async () => {
    await database.query("update pawl.effects set status = 'applied' where status = 'dispatched'");
    expect(await overdueLine()).toBe('no sent effect is past its lease by a minute');
  });
});

/** A worker with the keys gets its permit and is heard of no more; five minutes pass. */
async function dispatchAndDie(keyed: Database): Promise<{ effect: string; id: string }> {
  const ledger = await createPostgresEffectLedger(keyed);
  const runKey = await insertRun(database);
  const intent = newIntent({
    ...{ tenant: TENANT, contract: 'once' as const, runKey, rootKey: runKey, workflowId: null },
  });
  await ledger.intend([intent]);
  await ledger.dispatch({
    tenant: intent.tenant,
    id: intent.id,
    claim: newClaim({ leaseMs: 1 }),
    request: null,
    callsPerRunMax: undefined,
    ignoresIdentity: true,
  });
  const [row] = await database.query(
    `update pawl.effects set lease_until = ${ago('5 minutes')}, updated_at = ${ago('5 minutes')}
     where id = $1 returning short_id as effect`,
    [intent.id],
  );
  return { effect: String(row?.['effect']), id: intent.id };
}

async function sweep(engine: Database): Promise<unknown> {
  return reconcile({
    database: engine,
    ledger: await createPostgresEffectLedger(engine),
    tools: new Map(),
    wire: () => Promise.reject(new Error('a sweep sends nothing')),
    crash: noCrash,
    clock: systemClock,
    workflows: { isRunning: () => Promise.resolve(false), signal: () => Promise.resolve(false) },
  });
}
