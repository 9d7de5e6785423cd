// Canaries in every mouth of a run: with keys none of their bytes is on any disk; erased, none can be read again.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import {
  createConfiguredKeys,
  createHistoryConverter,
} from '../../activities/encryption/encryption.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { PawlClient } from '../../client/index.ts';
import { type ModelProvider, startModelProvider } from '../../devstack/receivers/index.ts';
import { startServers, type Servers } from '../../devstack/servers/start-servers.ts';
import { withConnection } from '../../devstack/servers/postgres-url.ts';
import { startWorkerProcess, type WorkerProcess } from '../../devstack/worker-process.ts';
import { guarantee } from '../guarantee.ts';
import {
  expectTelemetry,
  hatchCanaries,
  searchFiles,
  SLOTS,
  toWords,
} from './fixtures/canaries.ts';
import { eventually } from './fixtures/world.ts';
import { tamperAt, tamperWithRun, UNSEEN, unseenOf } from './fixtures/tampering.ts';
import { canaryScript, playCanaryRun, startCanaryReceiver } from './fixtures/canary-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'pawl-canary-'));
const keys = `k1:${randomBytes(32).toString('base64')}`;
const secret = hatchCanaries();
const control = hatchCanaries();
const wordsOf = (text: string) => toWords(text.includes(secret.input[0]) ? secret : control);

let servers: Servers;
let provider: ModelProvider;
const workers: WorkerProcess[] = [];
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const env = { ...process.env, DATABASE_URL: undefined, TEMPORAL_ADDRESS: undefined };
  servers = await startServers({ dataDir: folder, env });
  await migrate(servers.postgres.url);
  provider = await startModelProvider({ script: canaryScript(wordsOf) });
}, 180_000);
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  for (const close of closers) await close();
  await provider.close();
  await servers.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A worker and a client on a queue of their own, with or without keys. */
async function openSide(taskQueue: string, canaries: typeof secret, encryptionKeys: string) {
  const words = toWords(canaries);
  const receiver = await startCanaryReceiver(words);
  closers.push(() => receiver.close());
  const worker = await startWorkerProcess({
    file: join(import.meta.dirname, 'fixtures', 'canary-worker.ts'),
    name: taskQueue,
    dataDir: folder,
    logFile: join(folder, `${taskQueue}.log`),
    env: {
      TEMPORAL_ADDRESS: servers.temporal.address,
      DATABASE_URL: servers.postgres.url,
      PAWL_TASK_QUEUE: taskQueue,
      PAWL_MIGRATE: 'no',
      PAWL_EGRESS_PRIVATE: 'allow',
      PAWL_LOG_LEVEL: 'TRACE',
      PAWL_ENCRYPTION_KEYS: encryptionKeys,
      ANTHROPIC_API_KEY: 'local-provider',
      ANTHROPIC_BASE_URL: provider.url,
      CANARY_WORDS: JSON.stringify(words),
      CANARY_RECEIVER: receiver.url,
      CANARY_TELEMETRY: join(folder, taskQueue),
      // The most that the model's SDK would put into spans.
      ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE: 'content',
      NODE_OPTIONS: '',
    },
  });
  workers.push(worker);
  const client = await PawlClient.connect({
    temporalAddress: servers.temporal.address,
    databaseUrl: servers.postgres.url,
    taskQueue,
    ...(encryptionKeys === '' ? {} : { encryptionKeys }),
  });
  closers.push(() => client.close());
  return { client, words };
}

/** A user's own workflow, which fails with the receiver's words. */
async function failWorkflow(taskQueue: string, text: string, encryptionKeys: string) {
  const connection = await Connection.connect({ address: servers.temporal.address });
  const dataConverter =
    encryptionKeys === ''
      ? {}
      : createHistoryConverter({ keys: createConfiguredKeys(encryptionKeys), tenant: 'default' });
  const client = new Client({ connection, dataConverter });
  const args = [{ tool: 'refuse', runKey: `order-${taskQueue}`, input: { text } }];
  const options = { workflowId: `order-${taskQueue}`, taskQueue, args };
  await expect(client.workflow.execute('oneEffect', options)).rejects.toThrow();
  await connection.close();
}

/** Everything on disk: Temporal's database, PostgreSQL's with its log, and what the workers have logged. */
async function foldersOnDisk(): Promise<readonly string[]> {
  const [row] = await withConnection(servers.postgres.url, async (client) => {
    await client.query('checkpoint');
    return (await client.query<{ data_directory: string }>('show data_directory')).rows;
  });
  const database = row?.data_directory ?? '';
  expect(existsSync(join(database, 'pg_wal'))).toBe(true);
  expect(existsSync(join(folder, 'temporal', 'temporal.db'))).toBe(true);
  return [folder, database];
}

const sql = (text: string, values: unknown[] = []) =>
  withConnection(servers.postgres.url, async (client) => (await client.query(text, values)).rows);

const tamper = (text: string, values: unknown[]) => tamperAt(servers.postgres.url, text, values);

let closed: Awaited<ReturnType<typeof openSide>>;
let open: Awaited<ReturnType<typeof openSide>>;
let closedRun: string;
let openRun: string;

async function clientWith(encryptionKeys: string): Promise<PawlClient> {
  const client = await PawlClient.connect({
    temporalAddress: servers.temporal.address,
    databaseUrl: servers.postgres.url,
    ...(encryptionKeys === '' ? {} : { encryptionKeys }),
  });
  closers.push(() => client.close());
  return client;
}

describe('encryption', () => {
  guarantee(
    'encryption-at-rest',
    '50 canaries in each of two runs → found without keys, nowhere with keys',
    async () => {
      expect(SLOTS.length * 2).toBe(50);
      closed = await openSide('closed', secret, keys);
      const stranger = await clientWith('');
      closedRun = await playCanaryRun(closed.client, closed.words, {
        whileAsked: (approval) =>
          expect(stranger.approve(approval, { approver: 'eve' })).rejects.toMatchObject({
            code: 'Encryption.Off',
          }),
        whileInDoubt: (runKey) =>
          expect(
            closed.client.erase({ run: runKey }, { reason: 'too early' }),
          ).rejects.toMatchObject({
            code: 'Run.NotErasable',
            message: expect.stringContaining('has not ended'),
          }),
      });
      await failWorkflow('closed', closed.words.workflowArgument, keys);
      open = await openSide('open', control, '');
      openRun = await playCanaryRun(open.client, open.words);
      await failWorkflow('open', open.words.workflowArgument, '');
      const folders = await foldersOnDisk();
      const search = (canaries: typeof secret) =>
        folders.flatMap((each) => searchFiles(each, canaries));
      expectTelemetry(folder, 'open');
      expectTelemetry(folder, 'closed');
      const found = search(control);
      const inSpans = found.filter(({ file }) => file === 'open.spans');
      expect(inSpans.map(({ slot }) => slot)).toEqual(
        expect.arrayContaining(['instructions', 'input', 'modelText', 'payArgument', 'payOutput']),
      );
      const seen = found.map(({ slot }) => slot);
      expect([...new Set(seen)].sort()).toEqual([...SLOTS].sort());
      expect(search(secret)).toEqual([]);
      const shown = JSON.stringify(await closed.client.show(closedRun, { transcript: true }));
      expect(shown).toContain(secret.payOutput[0]);
      expect(shown).toContain(secret.finalAnswer[1]);
    },
    400_000,
  );

  guarantee(
    'encryption-bound',
    'a client without keys → sees that there is something, and can say nothing beside it',
    async () => {
      const client = await clientWith('');
      const { input, run, transcript } = await client.show(closedRun, { transcript: true });
      expect(input).toBe('(encrypted: set PAWL_ENCRYPTION_KEYS)');
      expect(transcript?.[0]?.parts).toBe('(encrypted: set PAWL_ENCRYPTION_KEYS)');
      expect(run.result?.kind).toBe('completed');
      const report = await client.verifyAudit({ run: closedRun });
      expect(report).toMatchObject({ isIntact: true, bodies: 0, problems: [] });
      expect(report.locked).toBe(report.entries);
      const { checks } = await client.doctor();
      expect(checks.find(({ name }) => name === 'encryption')).toMatchObject({ status: 'warn' });
    },
  );

  guarantee(
    'key-rotation',
    'rotated → the new key alone reads every run, the old one alone none',
    async () => {
      const next = `k2:${randomBytes(32).toString('base64')}`;
      const both = await clientWith(`${next},${keys}`);
      const report = await both.rotateKeys();
      expect(report).toMatchObject({ currentKeyId: 'k2', remaining: 0 });
      expect(report.rewrapped).toBeGreaterThan(0);
      expect(await both.rotateKeys()).toMatchObject({ rewrapped: 0, remaining: 0 });
      const fresh = await clientWith(next);
      expect(JSON.stringify(await fresh.show(closedRun))).toContain(secret.input[0]);
      const stale = await clientWith(keys);
      await expect(stale.show(closedRun)).rejects.toMatchObject({
        code: 'Encryption.KeyUnknown',
        message: expect.stringContaining('"k2"'),
      });
      const back = await clientWith(`${keys},${next}`);
      expect((await back.rotateKeys()).remaining).toBe(0);
    },
  );

  guarantee(
    'audit-verify',
    'an intruder with all rights changes each column and deletes each row of a run → the audit says so, but for these',
    async () => {
      const played = await tamperWithRun(servers.postgres.url, openRun);
      expect(played.length).toBeGreaterThan(300);
      expect(unseenOf(played)).toEqual(UNSEEN);
    },
    300_000,
  );

  guarantee('audit-verify', 'one word in a message is changed → the entry is named', async () => {
    const change = 'update pawl.transcript_bodies set parts = $2 where run_key = $1 and seq = 2';
    const [before] = await sql(
      'select parts from pawl.transcript_bodies where run_key = $1 and seq = 2',
      [closedRun],
    );
    await tamper(change, [closedRun, '[]']);
    const report = await closed.client.verifyAudit();
    expect(report.problems).toEqual([
      {
        runKey: closedRun,
        where: 'transcript 2',
        what: 'its body is not the one that was committed to',
      },
    ]);
    await tamper(change, [closedRun, (before as { parts: string }).parts]);
    const mended = await closed.client.verifyAudit();
    expect(mended.isIntact).toBe(true);
    expect(mended.rows).toBeGreaterThan(90);
  });

  guarantee(
    'encryption-bound',
    'a sealed body moved to another run → refused, not shown',
    async () => {
      const [other] = await sql(
        'select run_key from pawl.runs where forked_from is not null and run_key <> $1 order by created_at limit 1',
        [closedRun],
      );
      await tamper(
        "update pawl.messages set text = (select input #>> '{}' from pawl.runs where run_key = $1) where run_key = $1",
        [closedRun],
      );
      await expect(closed.client.show(closedRun)).rejects.toMatchObject({
        code: 'Encryption.Tampered',
      });
      await tamper(
        'update pawl.runs set input = (select input from pawl.runs where run_key = $1) where run_key = $2',
        [closedRun, (other as { run_key: string }).run_key],
      );
      await expect(
        closed.client.show((other as { run_key: string }).run_key),
      ).rejects.toMatchObject({
        code: 'Encryption.Tampered',
      });
      await tamper('update pawl.messages set text = $2 where run_key = $1', [closedRun, '']);
    },
  );

  guarantee(
    'retention',
    'garbage collection → nothing young, nothing that Temporal can reset; old runs once',
    async () => {
      expect(await open.client.collectGarbage({ olderThanMs: 0 })).toMatchObject({ runs: 0 });
      await sql(
        "update pawl.runs set finished_at = finished_at - interval '40 days' where run_key = $1",
        [openRun],
      );
      const dry = await open.client.collectGarbage({ dryRun: true });
      expect(dry).toMatchObject({ runs: 1, isDryRun: true });
      await sql("update pawl.effects set has_conflict = true where run_key = $1 and tool = 'pay'", [
        openRun,
      ]);
      expect(await open.client.collectGarbage()).toMatchObject({ runs: 0, kept: 1 });
      await sql(
        "update pawl.effects set has_conflict = false where run_key = $1 and tool = 'pay'",
        [openRun],
      );
      expect(await open.client.collectGarbage()).toMatchObject({ runs: 1, kept: 0 });
      expect(await open.client.collectGarbage()).toMatchObject({ runs: 0, kept: 0 });
      const audit = await open.client.verifyAudit({ run: openRun });
      expect(audit).toMatchObject({ isIntact: true, bodies: 0, problems: [] });
      expect(audit.erased).toBe(audit.entries);
    },
  );

  guarantee(
    ['erasure', 'audit-verify'],
    'erased → no word is left to read, on record, and the audit is intact; again → nothing more',
    async () => {
      const reason = 'request 4711';
      const answer = await closed.client.erase({ run: closedRun }, { reason, by: 'ada' });
      expect(answer.runs).toMatchObject([
        { runKey: closedRun, rows: { run_keys: 1 }, histories: 1 },
      ]);
      expect(answer.forks).toHaveLength(1);
      const shown = JSON.stringify(await closed.client.show(closedRun, { transcript: true }));
      for (const words of Object.values(secret).flat()) expect(shown).not.toContain(words);
      expect(shown).not.toContain('pawl-sealed');
      const [record] = await sql('select * from pawl.erasures where run_key = $1', [closedRun]);
      expect(record).toMatchObject({ cause: 'erase', erased_by: 'ada', reason });
      const audit = await closed.client.verifyAudit({ run: closedRun });
      expect(audit).toMatchObject({ isIntact: true, bodies: 0, problems: [] });
      const again = await closed.client.erase({ run: closedRun }, { reason });
      expect(again.runs).toMatchObject([{ rows: {} }]);
      expect(await sql('select 1 from pawl.erasures where run_key = $1', [closedRun])).toHaveLength(
        1,
      );
      await expect(sql("update pawl.effect_facts set data = '{}'")).rejects.toThrow('append-only');
    },
  );

  guarantee(
    'erasure',
    "a process of one's own workflows → refused while its workflow runs; then its effects have no words, and no history",
    async () => {
      const runKey = 'process/77';
      const connection = await Connection.connect({ address: servers.temporal.address });
      const dataConverter = createHistoryConverter({
        keys: createConfiguredKeys(keys),
        tenant: 'default',
      });
      const temporal = new Client({ connection, dataConverter });
      const handle = await temporal.workflow.start('oneEffect', {
        workflowId: 'workflow-77',
        taskQueue: 'closed',
        args: [{ tool: 'doubt', runKey, input: { text: secret.doubtArgument[0] } }],
      });
      const doubt = await eventually('a doubt', async () =>
        (await closed.client.doubts()).find((effect) => effect.runKey === runKey),
      );
      const erase = () => closed.client.erase({ run: runKey }, { reason: 'request 77' });
      await expect(erase()).rejects.toMatchObject({
        code: 'Run.NotErasable',
        message: expect.stringContaining('its workflow workflow-77 is running'),
      });
      const settlement = { outcome: 'applied', evidence: 'seen', by: 'ada' } as const;
      await closed.client.settle(doubt.effect, { ...settlement, output: { receipt: 'r' } });
      await handle.result();
      expect(await erase()).toMatchObject({
        runs: [
          {
            ...{ runKey, histories: 1 },
            rows: { effects: 1, effect_requests: 1, settlements: 1, run_keys: 1 },
          },
        ],
      });
      const effects = await closed.client.effects({ limit: 1_000 });
      const erased = effects.find((effect) => effect.runKey === runKey);
      expect(erased).toMatchObject({ status: 'applied', arguments: null, output: null });
      expect(await closed.client.verifyAudit({ run: runKey })).toMatchObject({
        ...{ isIntact: true, runs: 1, effects: 1 },
      });
      await connection.close();
    },
  );

  guarantee(
    ['audit-verify', 'erasure'],
    'a ledger from before there were seals is migrated → its rows are sealed as they are found, erased ones too',
    async () => {
      const before = await closed.client.verifyAudit();
      const folder = join(import.meta.dirname, '../../activities/ledger/migrations');
      const text = readFileSync(join(folder, '0005_seals.sql'), 'utf8');
      const [up = '', down = ''] = text.split('-- Down Migration');
      await sql(down);
      await sql(up);
      expect(await closed.client.verifyAudit()).toEqual(before);
      expect(before.isIntact).toBe(true);
      const again = await closed.client.erase({ run: closedRun }, { reason: 'again' });
      expect(again.runs).toMatchObject([{ rows: {} }]);
    },
  );
});
