// crashAt: an in-process death at a named point of an effect, as the server and the ledger see one.
import { CompleteAsyncError, Context } from '@temporalio/activity';
import type { CrashHook, CrashPoint } from '../activities/effects/crash-points.ts';

/**
 * A hook for `withTestRun({ crash })`: at the `nth` passage of `point` (by the tool or agent named `subject`; any when
 * absent) the attempt ends without an answer. Nothing behind the point is recorded, its claim and lease stay, its
 * heartbeats stop: after the heartbeat time-out (4 s) Temporal dispatches another attempt.
 *
 * It is not a death of the process: other attempts, the connection pool and the workflow cache live on, and what was
 * already on the wire stays there. For a process that is really killed, start a worker of your own with
 * `PAWL_CRASH_AT=point[:subject[:nth]]` and `PAWL_ALLOW_CRASH_POINTS=1`: it sends itself SIGKILL there.
 */
export function crashAt(point: CrashPoint, subject?: string, nth = 1): CrashHook {
  const dead = new WeakSet<Context>();
  let left = nth;
  return (reached, by) => {
    const context = Context.current();
    // The code around a point may catch: whoever is dead dies again at the next one, before it records anything.
    if (dead.has(context)) throw new CompleteAsyncError();
    if (reached !== point || (subject !== undefined && subject !== by)) return;
    left -= 1;
    if (left !== 0) return;
    dead.add(context);
    throw new CompleteAsyncError();
  };
}
