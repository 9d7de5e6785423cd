// The hook of a worker process of the matrix: at the passage that its order names it dies, or says so and stands still.
import { appendFileSync } from 'node:fs';
import type { CrashHook } from '../../../activities/effects/crash-points.ts';
import type { Blow } from './cells.ts';
import { STANDING } from './order.ts';

const left = new Map<string, { readonly blow: Blow; passages: number }>();

export function arm(blows: Readonly<Record<string, Blow>>): void {
  for (const [tool, blow] of Object.entries(blows)) left.set(tool, { blow, passages: blow.nth });
}

/** Of the engine, and of tools whose own code has the points of the wire. */
export const pass: CrashHook = (hook, tool) => {
  const armed = left.get(tool);
  if (armed?.blow.hook !== hook) return;
  armed.passages -= 1;
  if (armed.passages !== 0) return;
  appendFileSync(process.env[STANDING] ?? '', `${tool}\n`);
  if (armed.blow.isSharp) process.kill(process.pid, 'SIGKILL');
  // Nothing behind this point is ever carried out: the process is killed from outside.
  return new Promise<void>(() => undefined);
};
