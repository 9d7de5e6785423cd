// What `pawl replay` replays against and how it names what became of a history.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PawlError } from '../errors.ts';
import type { Replayed } from '../replay/replayer.ts';

/** What became of one history. */
export interface Replay {
  readonly name: string;
  readonly events: number;
  readonly status: 'ok' | 'nondeterministic' | 'failed';
  readonly message?: string;
}

/** The workflow code to replay against: `--workflows`, else the shipped `pawl/workflows`. Throws `Workflows.Missing`. */
export function resolveWorkflowsPath(cwd: string, path: string | undefined): string {
  if (path === undefined) return fileURLToPath(import.meta.resolve('pawl/workflows'));
  const resolved = resolve(cwd, path);
  if (existsSync(resolved)) return resolved;
  throw new PawlError('Workflows.Missing', `--workflows: there is no ${resolved}.`);
}

export function toReplay({ name, events, error }: Replayed): Replay {
  if (!error) return { name, events, status: 'ok' };
  const isDeterminism = error.name === 'DeterminismViolationError';
  const status = isDeterminism ? 'nondeterministic' : 'failed';
  return { name, events, status, message: explain(error) };
}

/** The one message of a replay that explains nothing by itself. */
export function explain({ message }: { readonly message: string }): string {
  if (!message.includes('type must be a Type')) return message;
  return (
    `${message}. Several copies of protobufjs are installed, so Temporal cannot read histories as JSON. ` +
    'Add "protobufjs": "^8.7.1" to your package.json and run `npm dedupe`, or replay a binary history (.bin) or a run key instead.'
  );
}
