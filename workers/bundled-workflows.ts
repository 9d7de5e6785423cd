// Which of Pawl's workflows a bundle does not have: without them no run begins, and nobody looks after effects.
import assert from 'node:assert';
import { AsyncLocalStorage } from 'node:async_hooks';
import vm from 'node:vm';

/** Their types; workflows/messages.ts names them for the sandbox. */
const PAWLS = ['agentRun', 'pawlReconciler', 'pawlCompensate'];
const LOAD_MS_MAX = 30_000;

/**
 * Loads the bundle as a worker's thread does, and looks at what it exports. Empty, too, where it cannot be loaded here:
 * Temporal says what is wrong with it.
 */
export function missingWorkflows(code: string): readonly string[] {
  try {
    const exported = exportsOf(code);
    return PAWLS.filter((name) => typeof exported[name] !== 'function');
  } catch {
    return [];
  }
}

function exportsOf(code: string): Readonly<Record<string, unknown>> {
  const silent = (): undefined => undefined;
  const console = { log: silent, warn: silent, error: silent, info: silent, debug: silent };
  const globals = { URL, URLSearchParams, TextEncoder, TextDecoder, AbortController };
  const context = vm.createContext({
    ...globals,
    ...{ assert, AsyncLocalStorage, console, __webpack_module_cache__: {} },
  });
  vm.runInContext(code, context, { timeout: LOAD_MS_MAX });
  return vm.runInContext('__TEMPORAL__.importWorkflows()', context, {
    timeout: LOAD_MS_MAX,
  }) as Readonly<Record<string, unknown>>;
}
