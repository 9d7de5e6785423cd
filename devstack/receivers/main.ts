// Starts one fake receiver as a process: prints `{"url":…}` when it listens and ends on SIGTERM or
// SIGINT.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { startBank } from './bank.ts';
import { startMailbox } from './mailbox.ts';
import { startModelProvider } from './model-provider.ts';
import type { ModelScript } from './model-script.ts';

const usage = `Usage:
  main bank     --log <file> [--port <port>] [--mismatch-status 422|409]
  main mailbox  --log <file> [--port <port>]
  main provider --script <module that exports "script"> [--log <file>] [--port <port>]
Prints {"url":"http://127.0.0.1:<port>"} when it listens; port 0, the default, takes a free one.`;

class UsageError extends Error {}

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        log: { type: 'string' },
        port: { type: 'string', default: '0' },
        script: { type: 'string' },
        'mismatch-status': { type: 'string', default: '422' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

type Values = ReturnType<typeof parseArguments>['values'];

async function start(
  kind: string | undefined,
  values: Values,
): Promise<{ url: string; close(): Promise<void> }> {
  const port = toPort(values.port);
  switch (kind) {
    case 'bank': {
      const mismatchStatus = toMismatchStatus(values['mismatch-status']);
      return startBank({ logFile: needed('--log', values.log), port, mismatchStatus });
    }
    case 'mailbox':
      return startMailbox({ logFile: needed('--log', values.log), port });
    case 'provider': {
      const script = await loadScript(needed('--script', values.script));
      return startModelProvider({
        script,
        port,
        ...(values.log !== undefined && { logFile: values.log }),
      });
    }
    default:
      throw new UsageError(kind ? `There is no receiver "${kind}".` : 'Say which receiver.');
  }
}

function needed(option: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`${option} is missing.`);
  return value;
}

function toPort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`--port ${text} is not a port: give 0 to 65535.`);
}

function toMismatchStatus(text: string): 409 | 422 {
  if (text === '409') return 409;
  if (text === '422') return 422;
  throw new UsageError(`--mismatch-status ${text} is neither 422 nor 409.`);
}

async function loadScript(file: string): Promise<ModelScript> {
  let module: { script?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as { script?: unknown };
  } catch (error) {
    throw new UsageError(`The script ${file} cannot be loaded: ${(error as Error).message}`);
  }
  if (typeof module.script === 'function') return module.script as ModelScript;
  throw new UsageError(`The module ${file} exports no function "script".`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArguments();
  if (values.help) {
    console.log(usage);
    return;
  }
  const receiver = await start(positionals[0], values);
  const stop = (): void => {
    receiver.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  console.log(JSON.stringify({ url: receiver.url }));
}

main().catch((error: unknown) => {
  const isUsage = error instanceof UsageError;
  console.error(error instanceof Error ? error.message : String(error));
  if (isUsage) console.error(usage);
  process.exitCode = isUsage ? 2 : 1;
});
