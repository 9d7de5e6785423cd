// Both servers together: orphans after SIGKILL, two starters, all or nothing, and no server that
// outlives a test run.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { readRunningProcesses } from '../../devstack/data-dir.ts';
import { withConnection } from '../../devstack/servers/postgres-url.ts';
import { identifyProcess } from '../../devstack/servers/process-identity.ts';
import { startServers } from '../../devstack/servers/start-servers.ts';
import type { ServersChild } from './fixtures/servers-child.ts';
import { isListening, startServersChild, waitUntil } from './fixtures/servers-child.ts';

let dataDir: string;
const env = { ...process.env, DATABASE_URL: undefined, TEMPORAL_ADDRESS: undefined };
const isReady = (line: { postgres?: unknown; failed?: unknown }): boolean =>
  line.postgres !== undefined || line.failed !== undefined;
const hostOf = (url: string | undefined): string => new URL(url ?? '').host;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pawl-servers-test-'));
  chmodSync(dataDir, 0o755);
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

describe('startServers', () => {
  it('a start killed with SIGKILL → the next one adopts both orphans and stops them in the end', async () => {
    const child = startServersChild('both', dataDir);
    const { temporal, postgres } = await child.waitFor(isReady);
    await child.kill();
    const servers = await startServers({ dataDir, env });
    expect(servers.temporal).toMatchObject({
      pid: temporal?.pid,
      address: temporal?.address,
      origin: 'adopted',
    });
    expect(servers.postgres).toMatchObject({
      pid: postgres?.pid,
      url: postgres?.url,
      origin: 'adopted',
    });
    await servers.stop();
    expect([temporal, postgres].map((each) => identifyProcess(each?.pid ?? 0))).toEqual([
      undefined,
      undefined,
    ]);
    expect(readRunningProcesses(dataDir)).toEqual([]);
  });

  it('an adopted server that dies later → reported', async () => {
    const child = startServersChild('both', dataDir);
    const { temporal } = await child.waitFor(isReady);
    await child.kill();
    const servers = await startServers({ dataDir, env });
    process.kill(temporal?.pid ?? 0, 'SIGKILL');
    expect((await servers.died).message).toMatch(
      /^Temporal \(process \d+\) ended\. The end of its log /,
    );
    await servers.stop();
  });

  it('two starters at once → one serves, the other names it; after its end a third starts', async () => {
    const children = [1, 2].map(() => startServersChild('both', dataDir));
    const ends = await Promise.all(children.map((child) => child.waitFor(isReady)));
    const failed = ends.filter((line) => line.failed !== undefined);
    expect(failed).toHaveLength(1);
    expect(failed[0]?.failed).toMatchObject({
      kind: 'locked',
      message: expect.stringMatching(
        /pawl\.lock is held by process \d+ \(a development stack, since/,
      ),
    });
    await Promise.all(
      children.map((child, index) => (ends[index]?.failed ? child.kill() : child.stop())),
    );
    const third = await startServers({ dataDir, env });
    await third.stop();
  });

  it('PostgreSQL cannot start → its error, and no Temporal is left behind', async () => {
    const broken = { ...env, DATABASE_URL: 'postgres://127.0.0.1:1/ledger' };
    await expect(startServers({ dataDir, env: broken })).rejects.toMatchObject({
      kind: 'not-serving',
      message: expect.stringContaining('DATABASE_URL points to 127.0.0.1:1/ledger'),
    });
    expect(readRunningProcesses(dataDir)).toEqual([]);
    expect(existsSync(join(dataDir, 'pawl.lock'))).toBe(false);
  });
});

describe('servers for tests', () => {
  async function expectNothingLeft(child: ServersChild): Promise<void> {
    const { temporal, postgres } = await child.waitFor(isReady);
    const directory = await withConnection(postgres?.url ?? '', async (client) => {
      const { rows } = await client.query<{ data_directory: string }>('show data_directory');
      return rows[0]?.data_directory ?? '';
    });
    const places = [temporal?.address ?? '', hostOf(postgres?.url)];
    expect(await Promise.all(places.map(isListening))).toEqual([true, true]);
    await child.kill();
    await waitUntil('both servers have gone', async () => {
      const listening = await Promise.all(places.map(isListening));
      return !listening.includes(true) && !existsSync(directory);
    });
  }

  it('ephemeral servers of a process that is killed → gone with it, with their files', async () => {
    await expectNothingLeft(startServersChild('ephemeral'));
  });

  it('a test run that is killed → its servers are gone with it', async () => {
    await expectNothingLeft(startServersChild('test-run'));
  });
});
