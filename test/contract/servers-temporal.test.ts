// The Temporal development server, started for real: its settings, its death, its leftovers.
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';

import { readRunningProcesses } from '../../devstack/data-dir.ts';
import { findFreePort } from '../../devstack/servers/ports.ts';
import { startTemporal } from '../../devstack/servers/temporal-server.ts';
import type { TemporalOptions, TemporalServer } from '../../devstack/servers/temporal-server.ts';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import { guarantee } from '../guarantee.ts';
import { waitUntil } from './fixtures/servers-child.ts';

let dataDir: string;
let running: TemporalServer[];
const env = { ...process.env, TEMPORAL_ADDRESS: undefined };

async function start(options: TemporalOptions = {}): Promise<TemporalServer> {
  const server = await startTemporal({ env, dataDir, ...options });
  running.push(server);
  return server;
}

async function withClient<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** As a page does it without asking first: a simple request, with the origin that a browser adds. */
function startFromPage(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asking = request({
      ...{ host: '127.0.0.1', port, method: 'POST', timeout: 2_000 },
      path: '/api/v1/namespaces/default/workflows/from_a_page',
      headers: { host, origin: 'http://evil.example', 'content-type': 'text/plain' },
    });
    asking.on('response', (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    // A port that speaks gRPC only hangs up.
    asking.on('error', () => resolve(undefined)).on('timeout', () => asking.destroy());
    asking.end('{"workflowType":{"name":"x"},"taskQueue":{"name":"q"},"requestId":"r"}');
  });
}

function listeningPorts(pid: number): number[] {
  const LISTENING = '0A';
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        return undefined;
      }
    }),
  );
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENING && inodes.has(fields[9]))
    .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16));
}

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pawl-temporal-test-'));
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync(dataDir, { recursive: true, force: true });
});

describe('a server of our own', () => {
  it('a run is started, the server killed and started again → the run is still there', async () => {
    const first = await start();
    await withClient(first.address, (client) =>
      client.workflow.start('agentRun', { taskQueue: 'none', workflowId: 'run_1' }),
    );
    process.kill(first.pid ?? 0, 'SIGKILL');
    await first.died;
    await first.stop();

    const second = await start();
    const run = await withClient(second.address, (client) =>
      client.workflow.getHandle('run_1').describe(),
    );
    expect(run.status.name).toBe('RUNNING');
    expect(second.origin).not.toBe('adopted');
    await waitUntil("Temporal's UI answers", async () => {
      const page = await fetch(`${second.uiUrl}/api/v1/settings`).catch(() => undefined);
      return page?.status === 200;
    });
    await second.stop();
    expect(readRunningProcesses(dataDir)).toEqual([]);
  });

  it('it dies → reported with the way, the last lines and the path of its log', async () => {
    const server = await start();
    process.kill(server.pid ?? 0, 'SIGKILL');
    const { message, logPath } = await server.died;
    expect(logPath).toBe(join(dataDir, 'temporal', 'server.log'));
    expect(message).toMatch(
      new RegExp(
        `^Temporal \\(process ${server.pid}\\) was ended by SIGKILL. The end of its log ${logPath}:\n`,
      ),
    );
  });

  // Which ports a process listens at is read from /proc.
  if (process.platform === 'linux')
    guarantee(
      'dev-temporal-closed',
      'a page of a foreign origin posts to every port of the server, also by a name of its own → no workflow starts',
      async () => {
        const server = await start({ ephemeral: true, uiPort: await findFreePort() });
        const ports = listeningPorts(server.pid ?? 0);
        const statuses = [];
        for (const port of ports) {
          for (const host of [`127.0.0.1:${port}`, 'localhost', 'evil.example']) {
            statuses.push(await startFromPage(port, host));
          }
        }
        // The HTTP API, the UI and the metrics did answer: with a refusal.
        expect(statuses.filter((status) => status === 403).length).toBeGreaterThanOrEqual(3);
        expect(statuses.filter((status) => status === 200)).toEqual([]);
        await withClient(server.address, async (client) => {
          await expect(client.workflow.getHandle('from_a_page').describe()).rejects.toThrow(
            /not found/i,
          );
        });
      },
    );

  it('stopped on request → not reported as a death', async () => {
    const server = await start({ ephemeral: true });
    await server.stop();
    const outcome = await Promise.race([server.died, Promise.resolve('no report')]);
    expect(outcome).toBe('no report');
  });

  it('a requested port that is held → busy-port names it, nothing runs', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    try {
      const error = await start({ port }).catch((thrown: unknown) => thrown as Error);
      expect(error).toMatchObject({ kind: 'busy-port' });
      expect((error as Error).message).toContain(
        `Port ${port} for Temporal is held by process ${process.pid} `,
      );
      expect(readRunningProcesses(dataDir)).toEqual([]);
    } finally {
      holder.close();
    }
    await start(); // the failed start left no lock
  });

  it('a database whose creation was killed → moved aside, a new one serves', async () => {
    const home = join(dataDir, 'temporal');
    mkdirSync(home);
    writeFileSync(join(home, 'temporal.db'), '');
    const messages: string[] = [];
    await start({ onProgress: ({ message }) => messages.push(message) });
    expect(messages[0]).toMatch(/^its database was never finished \(a killed start\); moved to /);
    expect(readdirSync(home).filter((name) => name.includes('half-initialised'))).toHaveLength(1);
  });

  it('an executable that ends at once → cannot-start with what it wrote', async () => {
    const fake = join(dataDir, 'temporal-fake');
    const script = `#!/bin/sh\n[ "$1" = --version ] && echo "temporal version 1.5.1" && exit\necho "no space left on device" >&2; exit 7\n`;
    writeFileSync(fake, script, { mode: 0o755 });
    await expect(start({ env: { ...env, PAWL_TEMPORAL_CLI: fake } })).rejects.toMatchObject({
      kind: 'cannot-start',
      message: expect.stringMatching(
        /ended with exit code 7\. The end of its log .*\n {2}no space left on device$/,
      ),
    });
  });
});

describe("somebody else's server", () => {
  it('TEMPORAL_ADDRESS that serves → used, nothing is started, stop leaves it alone', async () => {
    const address = testTemporalAddress();
    const server = await start({ env: { ...env, TEMPORAL_ADDRESS: address } });
    expect(server).toMatchObject({ address, pid: undefined, origin: 'TEMPORAL_ADDRESS' });
    await server.stop();
    expect(existsSync(join(dataDir, 'temporal'))).toBe(false);
    await withClient(address, (client) => client.workflowService.getSystemInfo({}));
  });

  it('TEMPORAL_ADDRESS where nobody serves → an error that names it and what to do', async () => {
    const address = '127.0.0.1:1';
    await expect(start({ env: { ...env, TEMPORAL_ADDRESS: address } })).rejects.toMatchObject({
      kind: 'not-serving',
      message: expect.stringMatching(
        /^TEMPORAL_ADDRESS is 127\.0\.0\.1:1, but no Temporal server serves the namespace "default" there .*unset TEMPORAL_ADDRESS/,
      ),
    });
  });

  it('TEMPORAL_NAMESPACE that the server does not have → an error that names it', async () => {
    const address = testTemporalAddress();
    const wrong = { ...env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'nowhere' };
    await expect(start({ env: wrong })).rejects.toThrow(
      /serves the namespace "nowhere" there \(.*not found/i,
    );
  });
});
