// The data directory: its lock, its records of child processes, and the identity of a process.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import {
  endOrphans,
  findRecordedProcess,
  lockDataDir,
  readRunningProcesses,
  recordProcess,
  resolveDataDir,
} from '../../devstack/data-dir.ts';
import { choosePort, isPortFree } from '../../devstack/servers/ports.ts';
import { endProcess, identifyProcess, isRunning } from '../../devstack/servers/process-identity.ts';
import type { ProcessIdentity } from '../../devstack/servers/process-identity.ts';

let dataDir: string;
const children: ChildProcess[] = [];

async function startChild(script = 'echo ready; exec sleep 60'): Promise<ProcessIdentity> {
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  await once(child.stdout, 'data');
  const identity = identifyProcess(child.pid ?? 0);
  if (identity === undefined) throw new Error('the child has ended');
  return identity;
}

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pawl-data-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

describe('where it is', () => {
  it('PAWL_DATA_DIR unset, relative, absolute → .pawl in the project, resolved, taken as it is', () => {
    expect(resolveDataDir({}, '/project')).toBe('/project/.pawl');
    expect(resolveDataDir({ PAWL_DATA_DIR: 'state' }, '/project')).toBe('/project/state');
    expect(resolveDataDir({ PAWL_DATA_DIR: '/var/pawl' }, '/project')).toBe('/var/pawl');
  });
});

describe('the lock', () => {
  const writeLock = (holder: ProcessIdentity): void => {
    const content = { ...holder, token: 't', purpose: 'pawl dev', since: '2026-01-01T00:00:00Z' };
    writeFileSync(join(dataDir, 'pawl.lock'), JSON.stringify(content));
  };
  const holderOf = () =>
    JSON.parse(readFileSync(join(dataDir, 'pawl.lock'), 'utf8')) as ProcessIdentity;

  it('held by a live process → an error that names it and what to do', async () => {
    const holder = await startChild();
    writeLock(holder);
    await expect(lockDataDir(dataDir, 'pawl run')).rejects.toMatchObject({
      kind: 'locked',
      message: `${dataDir}/pawl.lock is held by process ${holder.pid} (pawl dev, since 2026-01-01T00:00:00Z). Stop it first, or set PAWL_DATA_DIR to another folder for a second stack.`,
    });
    expect(holderOf().pid).toBe(holder.pid);
  });

  it('left by a process that was killed → taken over', async () => {
    const holder = await startChild();
    writeLock(holder);
    await endProcess(holder, { signal: 'SIGKILL' });
    const lock = await lockDataDir(dataDir, 'pawl dev');
    expect(holderOf().pid).toBe(process.pid);
    lock.release();
  });

  it('left by a dead process whose pid another one has now → taken over', async () => {
    const stranger = await startChild();
    writeLock({ pid: stranger.pid, startMark: 'another start' });
    const lock = await lockDataDir(dataDir, 'pawl dev');
    expect(holderOf().pid).toBe(process.pid);
    lock.release();
    expect(isRunning(stranger)).toBe(true);
  });

  it('an empty lock file of a crash → taken over', async () => {
    writeFileSync(join(dataDir, 'pawl.lock'), '');
    const lock = await lockDataDir(dataDir, 'pawl dev');
    lock.release();
    await expect(lockDataDir(dataDir, 'again')).resolves.toBeDefined();
  });

  it('twenty at once after a crash → exactly one gets it', async () => {
    writeLock({ pid: 1, startMark: 'another start' });
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, () => lockDataDir(dataDir, 'pawl dev')),
    );
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const kinds = attempts.map(
      (each) => each.status === 'rejected' && (each.reason as { kind: string }).kind,
    );
    expect(kinds.filter((kind) => kind === 'locked')).toHaveLength(19);
  });

  it('a release by a former holder → the lock of the next one stays', async () => {
    const first = await lockDataDir(dataDir, 'first');
    first.release();
    const second = await lockDataDir(dataDir, 'second');
    first.release();
    await expect(lockDataDir(dataDir, 'third')).rejects.toThrow('(second, since');
    second.release();
  });
});

describe('the records', () => {
  it('two orphans of a killed start, one to adopt → the other is ended, the record is private', async () => {
    const [worker, temporal] = [await startChild(), await startChild()];
    recordProcess(dataDir, 'worker-1', worker);
    recordProcess(dataDir, 'temporal', temporal, { details: { address: '127.0.0.1:7233' } });
    expect(statSync(join(dataDir, 'processes', 'temporal.json')).mode & 0o777).toBe(0o600);

    expect(await endOrphans(dataDir, { except: ['temporal'] })).toEqual(['worker-1']);
    expect([isRunning(worker), isRunning(temporal)]).toEqual([false, true]);
    expect(readRunningProcesses(dataDir)).toEqual([
      expect.objectContaining({
        name: 'temporal',
        pid: temporal.pid,
        details: { address: '127.0.0.1:7233' },
      }),
    ]);
  });

  it('a record whose pid another process has now → that process is left alone, the record forgotten', async () => {
    const stranger = await startChild();
    recordProcess(dataDir, 'temporal', { pid: stranger.pid, startMark: 'another start' });
    expect(await endOrphans(dataDir)).toEqual([]);
    expect(findRecordedProcess(dataDir, 'temporal')).toBeUndefined();
    expect(isRunning(stranger)).toBe(true);
  });

  it('half a record → as none', () => {
    mkdirSync(join(dataDir, 'processes'));
    writeFileSync(join(dataDir, 'processes', 'temporal.json'), '{"v":1,"na');
    expect(findRecordedProcess(dataDir, 'temporal')).toBeUndefined();
  });

  it('an orphan that ignores its stop signal → killed after the grace', async () => {
    const stubborn = await startChild(`trap "" TERM; echo ready; while :; do sleep 1; done`);
    expect(await endProcess(stubborn, { graceMs: 100 })).toBe('killed');
    expect(isRunning(stubborn)).toBe(false);
  });
});

describe('ports', () => {
  it('a requested port that is held → an error with the port and the process that holds it', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    try {
      expect(await isPortFree(port)).toBe(false);
      await expect(choosePort({ what: 'Temporal', requested: port })).rejects.toMatchObject({
        kind: 'busy-port',
        message: expect.stringMatching(
          new RegExp(
            `^Port ${port} for Temporal is held by process ${process.pid} \\(.+\\)\\. End that process`,
          ),
        ),
      });
      const other = await choosePort({ what: 'Temporal', preferred: port });
      expect(other).not.toBe(port);
    } finally {
      holder.close();
    }
  });
});
