// The process behind `pawl worker`: reads its arguments, supervises, prints one line for each thing that happens.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Notice, toText } from './notices.ts';
import { createSettler } from './settler.ts';
import { superviseWorkers, WorkerNeverReady } from './supervise.ts';

const USAGE_EXIT = 2;
const MOST = 256;
const ONE_WISH_MS = 500;

class UsageError extends Error {}

interface Asked {
  readonly file: string;
  readonly workers: number;
  readonly spares: number;
  readonly isJson: boolean;
}

/** Throws a `UsageError`. */
function readArguments(argv: readonly string[]): Asked {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      workers: { type: 'string', default: '1' },
      spares: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const [name = ''] = positionals;
  const file = resolve(name);
  if (name === '' || !existsSync(file)) throw new UsageError(`there is no worker module ${file}`);
  return {
    file,
    workers: toCount('--workers', values.workers, 1),
    spares: toCount('--spares', values.spares, 0),
    isJson: values.json,
  };
}

function toCount(option: string, text: string, min: number): number {
  const count = Number(text);
  if (/^\d{1,3}$/.test(text) && count >= min && count <= MOST) return count;
  throw new UsageError(`${option} ${text}: give a whole number from ${min} to ${MOST}`);
}

function createPrinter(isJson: boolean): (notice: Notice) => void {
  return (notice) => {
    const time = new Date().toISOString();
    const line = isJson
      ? JSON.stringify({ time, ...notice }, roundNumbers)
      : `${time.slice(11, 23)} ${toText(notice)}`;
    process.stdout.write(`${line}\n`);
  };
}

/** Milliseconds without their fractions. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value;
}

async function main(): Promise<number> {
  const { isJson, ...asked } = readArguments(process.argv.slice(2));
  const notify = createPrinter(isJson);
  const settler = createSettler(notify);
  const supervision = await superviseWorkers({ ...asked, env: process.env, settler, notify });
  let stops = 0;
  let stoppedAtMs = -Infinity;
  const stop = (): void => {
    // One Ctrl-C may come twice: from the terminal, and passed on by the command line.
    if (performance.now() - stoppedAtMs < ONE_WISH_MS) return;
    stoppedAtMs = performance.now();
    stops += 1;
    supervision.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  // The command line that started this is gone: nobody could stop it any more.
  process.on('disconnect', () => stops === 0 && stop());
  await supervision.ended;
  return stops > 1 ? 1 : 0;
}

function explain(error: unknown): number {
  const isExpected = error instanceof UsageError || error instanceof WorkerNeverReady;
  const text = error instanceof Error ? (isExpected ? error.message : error.stack) : String(error);
  process.stderr.write(`error: ${text}\n`);
  return error instanceof UsageError ? USAGE_EXIT : 1;
}

// What a worker printed last is still on its way: the exit waits for nothing else.
process.exit(await main().catch(explain));
