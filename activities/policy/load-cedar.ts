// Loads Cedar's WebAssembly, in a process whose V8 does not inline calls into it.
import { setFlagsFromString } from 'node:v8';
import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs';

/**
 * Node 20 ends the process ("unreachable code") when code with an inlined call that returns an object has to be given up
 * during that call. Thousands of verdicts make such code, and what gives it up is the first verdict behind a quiet time
 * with some garbage collections: the shape of its answer is a new one then.
 */
export function loadCedar(): Promise<typeof Cedar> {
  setFlagsFromString('--no-turbo-inline-js-wasm-calls');
  return import('@cedar-policy/cedar-wasm/nodejs');
}
