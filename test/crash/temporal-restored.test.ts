// Temporal's database is put back to an earlier point: every run goes on from its old history, and nothing is done twice.
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import type { PawlClient } from '../../client/index.ts';
import { hang, type ModelScript } from '../../devstack/receivers/index.ts';
import { startTemporal, type TemporalServer } from '../../devstack/servers/temporal-server.ts';
import { guarantee } from '../guarantee.ts';
import { findLowPort } from './fixtures/low-port.ts';
import { createPayerScript, modelRequestsOf, placeOf } from './fixtures/payer-script.ts';
import { payment } from './fixtures/payments.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';

const TEST_MS = 360_000;
const PAYMENTS = 6;
const QUEUE = 'restored-temporal';
const env = { ...process.env, TEMPORAL_ADDRESS: undefined };

/** Turns whose answer the model keeps to itself, by label. */
const held = new Map<string, number>();
const payerScript = createPayerScript();
const script: ModelScript = (request, at) => {
  const { label, turn } = placeOf(request);
  return held.get(label) === turn + 1 ? hang() : payerScript(request, at);
};
let dataDir: string;
let backupDir: string;
let temporal: TemporalServer;
let world: World;
let pawl: PawlClient;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'pawl-temporal-restored-'));
  backupDir = mkdtempSync(join(tmpdir(), 'pawl-temporal-backup-'));
  temporal = await startTemporal({ dataDir, env, port: await findLowPort() });
  world = await createWorld({ script, temporalAddress: temporal.address });
  pawl = await world.connect(QUEUE);
}, 180_000);
afterAll(async () => {
  await pawl.close();
  await world.close();
  await temporal.stop();
  for (const folder of [dataDir, backupDir]) rmSync(folder, { recursive: true, force: true });
});

/** Nobody has the database open meanwhile: the file and its write-ahead log are of one moment. */
async function whileDown(work: (home: string) => void): Promise<void> {
  const port = Number(temporal.address.split(':')[1]);
  process.kill(temporal.pid ?? 0, 'SIGKILL');
  await temporal.died;
  await temporal.stop();
  work(join(dataDir, 'temporal'));
  temporal = await startTemporal({ dataDir, env, port });
}

// Not the index of the log: SQLite makes it anew.
const isDatabase = (file: string): boolean => /^temporal\.db(-wal)?$/.test(file);
const backUp = (): Promise<void> =>
  whileDown((home) => {
    const files = readdirSync(home).filter(isDatabase);
    for (const file of files) cpSync(join(home, file), join(backupDir, file));
  });
const restore = (): Promise<void> =>
  whileDown((home) => {
    const files = readdirSync(home).filter((file) => file.startsWith('temporal.db'));
    for (const file of files) rmSync(join(home, file));
    for (const file of readdirSync(backupDir)) cpSync(join(backupDir, file), join(home, file));
  });

const start = (label: string, agent = 'payer'): Promise<string> =>
  pawl.start(agent, { label, payments: PAYMENTS }).then(({ runKey }) => runKey);
const resultOf = (runKey: string): Promise<unknown> =>
  world.temporal.workflow.getHandle(runKey).result();
const isAskedAt = (label: string, turn: number): boolean =>
  modelRequestsOf(world.provider, label)[turn - 1] !== undefined;

const PLACES = ['finished', 'asking', 'at-model', 'on-wire', 'later', 'later-open'];

/** What the outside saw of each run: receipts and writes by payment, model requests by turn. */
function booksNow() {
  return PLACES.map((label) => {
    const references = Array.from({ length: PAYMENTS }, (_, at) => `${label}-${at + 1}`);
    const receipts = references.map((reference) => world.bank.receipts({ reference }).length);
    const writes = references.map((reference) => writesFor(world.bank, reference).length);
    return { label, receipts, writes, modelRequests: modelRequestsOf(world.provider, label) };
  });
}

/** Temporal's list of what is open lags behind what has ended. */
async function untilOpenAre(expected: readonly string[]): Promise<void> {
  const query = 'WorkflowType IN ("agentRun", "oneEffect") AND ExecutionStatus = "Running"';
  await eventually(`open are ${expected.length}`, async () => {
    const open: string[] = [];
    for await (const { workflowId } of world.temporal.workflow.list({ query }))
      open.push(workflowId);
    return isDeepStrictEqual(open.sort(), expected);
  });
}

/** Runs in the places in which a backup can meet them; then their worker dies. */
async function startRuns() {
  held.set('at-model', 4);
  world.bank.setMode('on-wire-3', 'commit-then-hang');
  world.bank.setMode('plain', 'commit-then-reset', { times: 1 });
  const worker = await world.startWorker({ taskQueue: QUEUE });
  const [finished, asking, atModel, onWire, plain] = await Promise.all([
    start('finished'),
    start('asking', 'careful-payer'),
    start('at-model'),
    start('on-wire'),
    world.startEffect({ tool: 'pay_once', input: payment('plain'), taskQueue: QUEUE }),
  ]);
  await resultOf(finished);
  const places = {
    approval: await eventually('it asks', async () => (await pawl.approvals())[0]?.id),
    doubt: await eventually('it is in doubt', async () => (await pawl.doubts())[0]?.effect),
  };
  await eventually('the model is asked', () => isAskedAt('at-model', 4));
  const isOnWire = (): boolean => world.bank.receipts({ reference: 'on-wire-3' }).length > 0;
  await eventually('a payment is on the wire', isOnWire);
  await worker.kill();
  return { asking, atModel, onWire, plain: plain.runKey, ...places };
}

/** Everything ends; one more run begins and ends, and another one has begun. */
async function goOn(runs: Awaited<ReturnType<typeof startRuns>>) {
  held.clear();
  held.set('later-open', 4);
  world.bank.setMode('on-wire-3', 'ok');
  await world.startWorker({ taskQueue: QUEUE });
  await pawl.approve(runs.approval, { approver: 'olga' });
  const evidence = 'the bank shows it';
  const output = { transferId: 'by hand', reference: 'plain' };
  await pawl.settle(runs.doubt, { outcome: 'applied', output, evidence });
  const [later, laterOpen] = await Promise.all([start('later'), start('later-open')]);
  const old = [runs.asking, runs.atModel, runs.onWire, runs.plain].sort();
  const results = await Promise.all(old.map(resultOf));
  await resultOf(later);
  await eventually('the model is asked', () => isAskedAt('later-open', 4));
  return { old, results, laterOpen };
}

/** Signals of the lost time are lost: a run that waits for a human looks again when it is woken. */
async function wakeAll(old: readonly string[]): Promise<void> {
  for (const runKey of old) {
    const handle = world.temporal.workflow.getHandle(runKey);
    await handle.signal('pawl.resumed', { v: 1, by: 'the runbook' });
    await handle.signal('pawl.settled', { v: 1 });
  }
}

describe("Temporal's database is restored to an earlier point", () => {
  guarantee(
    'temporal-restored',
    'after more effects were applied and runs had ended → all go on from the old history: one receipt each, nothing asked or sent again',
    async () => {
      const runs = await startRuns();
      await backUp();
      const { old, results, laterOpen } = await goOn(runs);
      const before = booksNow();

      await restore();
      await untilOpenAre(old);
      await wakeAll(old);
      expect(await Promise.all(old.map(resultOf))).toEqual(results);
      expect(booksNow()).toEqual(before);

      // Temporal has never heard of this one: resuming it starts it again, from what the ledger holds.
      const { checks } = await pawl.doctor();
      expect(checks.find(({ name }) => name === 'histories')).toMatchObject({
        status: 'warn',
        detail: expect.stringContaining(laterOpen),
      });
      held.clear();
      expect(await pawl.resume(laterOpen)).toMatchObject({ was: 'lost' });
      expect(await resultOf(laterOpen)).toMatchObject({ kind: 'completed' });

      for (const { label, receipts, modelRequests } of booksNow()) {
        expect([label, receipts]).toEqual([label, Array(PAYMENTS).fill(1)]);
        // The turn that was held has been asked for by two workers, one after the other.
        const asked = ['at-model', 'later-open'].includes(label) ? 2 : 1;
        expect([label, modelRequests]).toEqual([label, [1, 1, 1, asked, 1, 1, 1]]);
      }
      expect(writesFor(world.bank, 'plain')).toHaveLength(1);
      expect(await pawl.doubts()).toEqual([]);
      await untilOpenAre([]);
    },
    TEST_MS,
  );
});
