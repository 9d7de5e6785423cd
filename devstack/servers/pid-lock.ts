// A lock file that names its holder; it outlives a killed holder and is then taken over, never from
// a live one.
import { randomUUID } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { identifyProcess, isRunning } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { ServerError } from './server-error.ts';

interface LockContent extends ProcessIdentity {
  readonly token: string;
  readonly purpose: string;
  readonly since: string;
}

/** A held lock. `release` may be called twice. */
export interface PidLock {
  readonly path: string;
  release(): void;
}

export interface LockOptions {
  /** What the holder does, for the error message: `pawl dev`. */
  readonly purpose: string;
  /** What the user can do when another process holds it. */
  readonly advice: string;
  /** How long to wait for a live holder. Default 0: fail at once. */
  readonly waitMs?: number;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

function readLock(path: string): LockContent | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockContent;
  } catch {
    return undefined;
  }
}

/**
 * Link, not write: the file appears with its whole content or not at all, so a reader never sees
 * half of it.
 */
function tryCreate(path: string, content: LockContent): boolean {
  const draft = `${path}.${content.token}`;
  writeFileSync(draft, JSON.stringify(content), { mode: 0o644 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Removes a dead holder's file. One reaper at a time: two could otherwise remove each other's new
 * lock.
 */
function reap(path: string): void {
  const guard = `${path}.reaping`;
  try {
    mkdirSync(guard);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const ageMs = Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    // Reaping takes microseconds: an old guard was left by a process killed inside it.
    if (ageMs > 10_000) rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    const holder = readLock(path);
    if (holder === undefined || !isRunning(holder)) rmSync(path, { force: true });
  } finally {
    rmdirSync(guard);
  }
}

function heldError(path: string, holder: LockContent, advice: string): ServerError {
  return new ServerError(
    'locked',
    `${path} is held by process ${holder.pid} (${holder.purpose}, since ${holder.since}). ${advice}`,
  );
}

function ownContent(purpose: string): LockContent {
  const self = identifyProcess(process.pid) ?? { pid: process.pid, startMark: 'unknown' };
  return { ...self, token: randomUUID(), purpose, since: new Date().toISOString() };
}

/** Takes the lock. Throws ServerError `locked`, naming the holder, when a live process has it. */
export async function acquireLock(path: string, options: LockOptions): Promise<PidLock> {
  const content = ownContent(options.purpose);
  const deadlineMs = Date.now() + (options.waitMs ?? 0);
  while (!tryCreate(path, content)) {
    const holder = readLock(path);
    if (holder === undefined || !isRunning(holder)) reap(path);
    else if (Date.now() >= deadlineMs) throw heldError(path, holder, options.advice);
    await delay(holder === undefined ? 5 : 20);
  }
  return {
    path,
    release: () => {
      if (readLock(path)?.token === content.token) rmSync(path, { force: true });
    },
  };
}
