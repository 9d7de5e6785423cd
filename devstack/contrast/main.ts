// `npm run contrast`: the same work with and without effect(), under the same faults; the banks' logs decide.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLines } from '../demo/console-lines.ts';
import { errorText } from '../servers/server-error.ts';
import { compare } from './compare.ts';
import { lockContrast } from './lock.ts';
import { moneyTransferContrast } from './money-transfer.ts';
import { type ContrastOptions, parseOptions, USAGE, UsageError } from './options.ts';
import type { Outcome, Scene } from './scene.ts';
import { orAborted } from './wait-until.ts';

const lines = createLines();
const stopped = new AbortController();
const cleanUps: Parameters<Scene['atEnd']>[0][] = [];
const startedAtMs = Date.now();

/** Progress is no result: it goes to standard error. */
function say(text: string): void {
  const seconds = ((Date.now() - startedAtMs) / 1_000).toFixed(1).padStart(5);
  process.stderr.write(`${seconds}s  ${text}\n`);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    lines.print(USAGE);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'pawl-contrast-'));
  const scene: Scene = {
    folder,
    say,
    signal: stopped.signal,
    atEnd: (cleanUp) => cleanUps.push(cleanUp),
  };
  if (!options.keep) scene.atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const outcome = await play(options, scene);
  if (options.json) lines.print(JSON.stringify(outcome.result, null, 2));
  else {
    lines.print(`\n${outcome.text}\n`);
    lines.say(outcome.problem ?? outcome.success, outcome.problem ? 'red' : 'green');
  }
  if (options.keep) say(`the logs are in ${folder}`);
  return outcome.problem === undefined ? 0 : 1;
}

function play(options: ContrastOptions, scene: Scene): Promise<Outcome> {
  switch (options.scenario) {
    case 'compare':
      return compare(options, scene);
    case 'lock':
      return orAborted(lockContrast(scene), scene.signal);
    case 'money-transfer':
      return orAborted(moneyTransferContrast(scene), scene.signal);
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped.signal.aborted) process.exit(130);
    say('stopping');
    stopped.abort();
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = stopped.signal.aborted ? 130 : 1;
  if (error instanceof UsageError) {
    process.exitCode = 2;
    process.stderr.write(`${error.message}\n\n${USAGE}\n`);
  } else if (!stopped.signal.aborted) process.stderr.write(`${errorText(error)}\n`);
} finally {
  for (const cleanUp of cleanUps.reverse()) await Promise.resolve(cleanUp()).catch(() => undefined);
}
