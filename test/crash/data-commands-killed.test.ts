// `pawl gc` and `pawl keys rotate` killed in the middle, again and again: they end where one that nobody killed ends.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { ulid } from 'ulid';
import { PawlClient } from '../../client/index.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { createTestDatabase, dropTestDatabase } from '../../devstack/test-database.ts';
import { guarantee } from '../guarantee.ts';
import { createPayerScript } from './fixtures/payer-script.ts';
import { type HeldRow, playHeld, query, runToEnd, stateOf } from './fixtures/held-commands.ts';
import { createWorld, eventually, type World } from './fixtures/world.ts';

const IS_FULL = process.env['PAWL_DATA_FULL'] === '1';
/** `PAWL_DATA_FULL=1 npm run -s jest -- test/crash/data-commands-killed.test.ts`: more than a page of runs, 20 kills each. */
const { runs, kills } = IS_FULL ? { runs: 230, kills: 20 } : { runs: 8, kills: 3 };
const seed = Number(process.env['PAWL_SEED'] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

/** Early enough that something is left for the kills behind this one. */
const pickEarly = (items: readonly string[], killsLeft: number): string =>
  pick(items.slice(0, Math.max(1, Math.floor(items.length / killsLeft))));

const oldKey = `k1:${randomBytes(32).toString('base64')}`;
const newKey = `k2:${randomBytes(32).toString('base64')}`;
const queue = `data-${ulid().toLowerCase()}`;

let world: World;
/** What a database looked like before anything was collected: one to be killed in, one that nobody disturbs. */
let sites: { readonly killed: string; readonly calm: string };
const copies: Awaited<ReturnType<typeof createTestDatabase>>[] = [];

beforeAll(async () => {
  world = await createWorld({ script: createPayerScript() });
  const worker = await world.startProcess({
    PAWL_TASK_QUEUE: queue,
    PAWL_ENCRYPTION_KEYS: oldKey,
  });
  const client = await connect(world.databaseUrl, oldKey);
  const labels = Array.from({ length: runs }, (_, at) => `old-${at}`);
  const ended = await inTurn(labels, async (label) => {
    const { runKey } = await client.start('payer', { label, payments: 2 });
    expect(await client.result(runKey)).toMatchObject({ result: { kind: 'completed' } });
    return runKey;
  });
  const waiting = await client.start('careful', { label: 'waits', payments: 1 });
  await eventually('a question', async () => (await client.approvals({ run: waiting.runKey }))[0]);
  const young = await client.start('payer', { label: 'young', payments: 1 });
  await client.result(young.runKey);
  await worker.kill();
  // Old, and still needed: nobody goes on with its fork.
  await client.fork(ended[1] ?? '', { effects: 'keep' });
  await client.close();
  await world.sql(
    "update pawl.runs set finished_at = finished_at - interval '40 days' where run_key = any($1)",
    [ended],
  );
  // A database is copied only while nobody is connected to it.
  await world.sql(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  sites = { killed: await copyDatabase(), calm: await copyDatabase() };
}, 600_000);
afterAll(async () => {
  await Promise.all(copies.map(dropTestDatabase));
  await world.close();
});

async function copyDatabase(): Promise<string> {
  const copy = await createTestDatabase({ template: new URL(world.databaseUrl).pathname.slice(1) });
  copies.push(copy);
  return copy.url;
}

/** A few at a time: the machine is small. */
async function inTurn<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const done: U[] = [];
  for (let at = 0; at < items.length; at += 4) {
    done.push(...(await Promise.all(items.slice(at, at + 4).map(work))));
  }
  return done;
}

function connect(databaseUrl: string, encryptionKeys: string): Promise<PawlClient> {
  const temporalAddress = world.temporalAddress;
  return PawlClient.connect({ databaseUrl, temporalAddress, encryptionKeys, taskQueue: queue });
}

function command(databaseUrl: string, keys: string, ...words: string[]) {
  const env = { TEMPORAL_ADDRESS: world.temporalAddress, PAWL_ENCRYPTION_KEYS: keys };
  return { databaseUrl, words, env };
}

/** No run is half erased, every body of the others can be read, and the audit has nothing to say. */
async function expectWhole(databaseUrl: string, keys: string): Promise<number> {
  const client = await connect(databaseUrl, keys);
  try {
    const audit = await client.verifyAudit();
    expect(audit.problems).toEqual([]);
    expect(audit.locked).toBe(0);
    expect(audit.bodies + audit.erased).toBe(audit.entries);
    const listed = await client.list({ limit: 1_000 });
    expect(listed.length).toBe(runs + 3);
    let erased = 0;
    for (const { runKey } of listed) {
      const { input, transcript, effects } = await client.show(runKey, { transcript: true });
      const isErased = input === null;
      erased += isErased ? 1 : 0;
      expect(transcript?.map(({ parts }) => parts === null)).toEqual(
        transcript?.map(() => isErased),
      );
      expect(effects.map((each) => each.arguments === null)).toEqual(effects.map(() => isErased));
    }
    return erased;
  } finally {
    await client.close();
  }
}

const COLLECTED_TABLES = [
  ...['runs', 'transcript_bodies', 'model_steps', 'calls', 'effects', 'effect_facts'],
  ...['effect_requests', 'run_keys'],
];

/** A row on its way that the command will have to wait for, so that it is killed right there. */
function rowOf(table: string, runKey: string): HeldRow {
  const isEffects = ['effect_facts', 'effect_requests'].includes(table);
  const condition = isEffects
    ? 'effect_id in (select id from pawl.effects where run_key = $1)'
    : 'run_key = $1';
  return { table, condition, values: [runKey] };
}

describe(`the commands on data, killed with SIGKILL (seed ${seed})`, () => {
  guarantee(
    ['retention', 'data-commands-killed'],
    `\`pawl gc\` killed ${kills} times inside a run's transaction → each run whole or erased, in the end as without a kill`,
    async () => {
      const gc = (url: string) => command(url, oldKey, 'gc', '--older-than', '30d', '--as', 'job');
      for (let kill = 0; kill < kills; kill += 1) {
        const left = await runKeysLeft(sites.killed);
        const held = rowOf(pick(COLLECTED_TABLES), pickEarly(left, kills - kill));
        await playHeld(gc(sites.killed), held, pick(['commits', 'rolls-back']));
        await expectWhole(sites.killed, oldKey);
      }
      const last = await runToEnd(gc(sites.killed));
      expect(last).toMatchObject({ code: 0 });
      expect(last.stdout).toContain('1 kept');
      expect(await runToEnd(gc(sites.calm))).toMatchObject({ code: 0 });
      expect(await stateOf(sites.killed)).toEqual(await stateOf(sites.calm));
      expect(await expectWhole(sites.killed, oldKey)).toBe(runs - 1);
      expect(await runToEnd(gc(sites.killed))).toMatchObject({
        stdout: expect.stringContaining('0 runs erased'),
      });
    },
    600_000,
  );

  guarantee(
    'data-commands-killed',
    'Ctrl-C in `pawl gc` → it ends behind the run at hand, says so, and what it has done is done',
    async () => {
      const copy = await copyDatabase();
      const gc = command(copy, oldKey, 'gc', '--older-than', '30d');
      const [, , third = ''] = await runKeysLeft(copy);
      const cut = await playHeld(gc, rowOf('runs', third), 'interrupted');
      expect(cut).toMatchObject({
        code: 130,
        stdout: expect.stringContaining('runs erased'),
        stderr: expect.stringContaining('repeat the command'),
      });
      const erased = await expectWhole(copy, oldKey);
      expect(cut.stdout).toContain(`${erased} runs erased`);
      expect(erased).toBeLessThan(runs - 1);
    },
    300_000,
  );

  guarantee(
    ['key-rotation', 'data-commands-killed'],
    `\`pawl keys rotate\` killed ${kills} times at a key → every body readable with both keys all the time, in the end with the new one alone`,
    async () => {
      const site = await copyDatabase();
      const both = `${newKey},${oldKey}`;
      const rotate = command(site, both, 'keys', 'rotate');
      const before = await stateOf(site);
      for (let kill = 0; kill < kills; kill += 1) {
        const left = await runKeysToRotate(site);
        const held = rowOf('run_keys', pickEarly(left, kills - kill));
        await playHeld(rotate, held, pick(['commits', 'rolls-back']));
        await expectWhole(site, both);
      }
      expect(await runToEnd(rotate)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('none names an older key'),
      });
      await expectWhole(site, newKey);
      expect(await stateOf(site)).toEqual(before);
      const stale = await connect(site, oldKey);
      await expect(
        stale.list().then(([run]) => stale.show(run?.runKey ?? '')),
      ).rejects.toMatchObject({
        code: 'Encryption.KeyUnknown',
      });
      await stale.close();
    },
    600_000,
  );
});

/** In the order in which the collector takes them. */
async function runKeysLeft(databaseUrl: string): Promise<string[]> {
  const rows = await query<{ key: string }>(
    databaseUrl,
    `select run_key as key from pawl.runs r where finished_at < now() - interval '30 days' and erased_at is null
       and not exists (select 1 from pawl.runs f where f.forked_from->>'runKey' = r.run_key) order by 1`,
  );
  return rows.map(({ key }) => key);
}

async function runKeysToRotate(databaseUrl: string): Promise<string[]> {
  const rows = await query<{ key: string }>(
    databaseUrl,
    "select run_key as key from pawl.run_keys where kek_id = 'k1' and wrapped is not null order by key_id",
  );
  return rows.map(({ key }) => key);
}
