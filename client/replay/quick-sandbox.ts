// For a process that does nothing but replay: switches off what the sandbox does for live workflows only.
import v8 from 'node:v8';
import vm from 'node:vm';

/**
 * Two things take three quarters of a replay's time: a stack trace at every promise, which only the query
 * `__stack_trace` shows, and a thread for each call into the sandbox that would end an endless loop. Neither changes
 * which commands a workflow gives. Both are undone by nothing: never call this in a worker.
 */
export function quickenSandbox(): void {
  // tsx has them looked up at every error.
  process.setSourceMapsEnabled(false);
  const { createHook } = v8.promiseHooks;
  // Only the hook that watches promises being made: AsyncLocalStorage has one by the same door, and scopes need it.
  v8.promiseHooks.createHook = (hooks) =>
    (hooks.before ?? hooks.after) ? createHook(hooks) : () => undefined;
  const { runInContext } = vm.Script.prototype;
  vm.Script.prototype.runInContext = function (context, options): unknown {
    const { timeout: _, ...rest } = options ?? {};
    return runInContext.call(this, context, rest) as unknown;
  };
}
