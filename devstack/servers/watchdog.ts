// Ends servers when this process is gone, however it went: a helper process waits for the end of
// its stdin.
import { spawn } from 'node:child_process';

import type { ProcessIdentity } from './process-identity.ts';

export interface Guarded {
  readonly identity: ProcessIdentity;
  readonly signal: NodeJS.Signals;
  /** A directory to remove once the server has ended. */
  readonly removeDirectory?: string | undefined;
}

// Plain JavaScript in a string: it runs alike from the sources and from the built package. On Linux
// it checks the start time, so that it never ends a process that merely got the same pid.
const SCRIPT = `
  const { readFileSync, rmSync } = require('node:fs');
  const { pid, startMark, signal, removeDirectory } = JSON.parse(process.argv[1]);
  const runs = () => {
    try {
      if (process.platform !== 'linux') return process.kill(pid, 0);
      const stat = readFileSync('/proc/' + pid + '/stat', 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] !== 'Z' && fields[0] !== 'X' && startMark.endsWith(':' + fields[19]);
    } catch { return false; }
  };
  const kill = (name) => { if (runs()) try { process.kill(pid, name); } catch {} };
  const sweep = (deadline) => {
    if (!runs()) {
      if (removeDirectory) rmSync(removeDirectory, { recursive: true, force: true, maxRetries: 5 });
      process.exit(0);
    }
    if (Date.now() > deadline) kill('SIGKILL');
    setTimeout(sweep, 50, deadline);
  };
  process.stdin.resume().on('end', () => { kill(signal); sweep(Date.now() + 5000); });
`;

/**
 * Starts the guard; it ends by itself, with the server, once this process has ended. Call the
 * result to dismiss it.
 */
export function guardServer({ identity, signal, removeDirectory }: Guarded): () => void {
  const order = JSON.stringify({ ...identity, signal, removeDirectory });
  const guard = spawn(process.execPath, ['-e', SCRIPT, order], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C goes to a whole process group: the guard must outlive it
    cwd: '/',
  });
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref?: () => void }).unref?.();
  return () => {
    guard.kill('SIGKILL');
  };
}
