// Temporal itself is killed in the middle of a run: its file database survives, workers wait for it, the run goes on.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { startTemporal, type TemporalServer } from '../../devstack/servers/temporal-server.ts';
import { guarantee } from '../guarantee.ts';
import { findLowPort } from './fixtures/low-port.ts';
import { createPayerScript, modelRequestsOf } from './fixtures/payer-script.ts';
import { createWorld, eventually, type World } from './fixtures/world.ts';

const TEST_MS = 360_000;
const PAYMENTS = 12;
const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
let dataDir: string;
let temporal: TemporalServer;
let world: World;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'pawl-temporal-killed-'));
  temporal = await startTemporal({ dataDir, env, port: await findLowPort() });
  world = await createWorld({ script: createPayerScript(), temporalAddress: temporal.address });
}, 180_000);
afterAll(async () => {
  await world.close();
  await temporal.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** SIGKILL, and the same address again. */
async function killAndRestart(): Promise<void> {
  process.kill(temporal.pid ?? 0, 'SIGKILL');
  await temporal.died;
  await temporal.stop();
  const port = Number(temporal.address.split(':')[1]);
  temporal = await startTemporal({ dataDir, env, port });
}

describe('the Temporal server is killed with SIGKILL in the middle of a run', () => {
  guarantee(
    'law-05-write-ahead',
    'while a payment is on the wire, and started again on its file → the same worker finishes the run, each payment once',
    async () => {
      const label = 'server-killed';
      world.bank.setMode(`${label}-4`, 'slow', { delayMs: 1_000, times: 1 });
      const worker = await world.startWorker({ taskQueue: label });
      const { runKey } = await world.startRun(label, 'payer', { label, payments: PAYMENTS });
      const paid = (at: number): number =>
        world.bank.receipts({ reference: `${label}-${at}` }).length;
      await eventually('the fourth payment is on the wire', () => paid(4) > 0);
      await killAndRestart();

      const ended = await Promise.race([
        world.pawl.result(runKey),
        worker.gone.then(() => 'the worker died' as const),
      ]);
      expect(ended).toMatchObject({ result: { kind: 'completed' } });
      const receipts = Array.from({ length: PAYMENTS }, (_, at) => paid(at + 1));
      expect(receipts).toEqual(Array(PAYMENTS).fill(1));
      expect(modelRequestsOf(world.provider, label)).toEqual(Array(PAYMENTS + 1).fill(1));
    },
    TEST_MS,
  );
});
