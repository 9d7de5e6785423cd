// `npm run crash`: workers die at every point around an effect, as processes and in a simulation; the receivers' logs decide.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '../../../devstack/servers/server-error.ts';
import { startTestServers, stopTestServers } from '../../../devstack/test-servers.ts';
import { type Cell as SimulatedCell, cellOf as simulatedCellOf } from '../../sim/cells.ts';
import { replay, simulate, type SimulationReport } from '../../sim/simulate.ts';
import { type Cell, cellOf, nameOf, playable, sliceOf } from './cells.ts';
import { describe, type Verdict } from './judge.ts';
import { openMatrixWorld } from './matrix-world.ts';
import { type CrashOptions, parseOptions, UsageError, USAGE } from './options.ts';
import { type RealResult, render, renderList, toRealResult, toResult } from './report.ts';
import { runMatrix } from './run-matrix.ts';

const CRASHES = 10_000;
/** So many crashes between two lines of progress, and two looks at Ctrl-C. */
const SIM_CHUNK = 2_000;
const stopped = new AbortController();
const startedAtMs = Date.now();
const seconds = (): number => Math.round((Date.now() - startedAtMs) / 1_000);

/** Progress is no result: it goes to standard error. */
function say(text: string): void {
  process.stderr.write(`${String(seconds()).padStart(5)}s  ${text}\n`);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help || options.list) {
    process.stdout.write(`${options.help ? USAGE : renderList()}\n`);
    return 0;
  }
  say(`seed ${options.seed}`);
  if (options.only === 'sim' && options.cell !== undefined) {
    return replaySim(options.cell, options.seed);
  }
  const real = options.only === 'sim' ? undefined : await playReal(options);
  const sim = options.only === 'real' || options.cell ? undefined : await playSim(options, real);
  const isComplete = !stopped.signal.aborted && (real?.troubles.length ?? 0) === 0;
  const result = toResult({ seed: options.seed, isComplete, real, sim });
  process.stdout.write(`${options.json ? JSON.stringify(result, null, 2) : render(result)}\n`);
  if (stopped.signal.aborted) {
    const words = process.argv
      .slice(2)
      .filter((word, at, all) => word !== '--seed' && all[at - 1] !== '--seed');
    say(
      `stopped; the same again: npm run crash -- ${[...words, '--seed', options.seed].join(' ')}`,
    );
    return 130;
  }
  return result.wrong > 0 || !isComplete ? 1 : 0;
}

async function playReal(options: CrashOptions): Promise<RealResult> {
  const cells = cellsOf(options);
  await startTestServers(join(import.meta.dirname, '..', '..', '..'));
  try {
    const world = await openMatrixWorld({ hasLocalTools: options.local });
    // A process that was about to start when it was stopped may write once more.
    process.on('exit', () => rmSync(world.folder, { recursive: true, force: true }));
    const fromMs = Date.now();
    const verdicts: Verdict[] = [];
    const troubles: string[] = [];
    // What is under way is not waited for: its processes end with the world.
    const whenStopped = new Promise<readonly Verdict[]>((resolve) =>
      stopped.signal.addEventListener('abort', () => resolve(verdicts)),
    );
    const all = runMatrix(world, {
      ...{ cells, width: options.width, signal: stopped.signal },
      onVerdicts(now) {
        verdicts.push(...now);
        report(verdicts, now, cells.length);
      },
      onTrouble(squad, error) {
        troubles.push(`${squad.map(nameOf).join(', ')}: ${errorText(error)}`);
        say(`could not be played: ${troubles.at(-1)}`);
      },
    });
    const seen = await Promise.race([all, whenStopped]);
    const took = Math.round((Date.now() - fromMs) / 1_000);
    await world.close();
    return toRealResult(seen, { planned: cells.length, seconds: took, troubles });
  } finally {
    await stopTestServers();
  }
}

function cellsOf({ cell, cells, seed }: CrashOptions): readonly Cell[] {
  if (cell === undefined) return sliceOf(playable(), seed, cells ?? playable().length);
  try {
    return [cellOf(cell)];
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

function report(all: readonly Verdict[], now: readonly Verdict[], planned: number): void {
  const crashes = all.reduce((total, { played }) => total + played.struck, 0);
  const wrong = all.filter(({ violations }) => violations.length > 0).length;
  for (const verdict of now) if (verdict.violations.length > 0) say(`WRONG  ${describe(verdict)}`);
  say(`${all.length} of ${planned} cells, ${crashes} crashes, ${wrong} wrong`);
}

/** In chunks of one seed each, so that it can be stopped and says how far it is. */
async function playSim(
  { seed, crashes }: CrashOptions,
  real: RealResult | undefined,
): Promise<SimulationReport | undefined> {
  const wanted = crashes ?? CRASHES - (real?.tally.all.crashes ?? 0);
  let total: SimulationReport | undefined;
  for (let at = 0; (total?.crashes ?? 0) < wanted && !stopped.signal.aborted; at += 1) {
    const missing = wanted - (total?.crashes ?? 0);
    const chunk = await simulate({ seed: seed + at, crashes: Math.min(SIM_CHUNK, missing) });
    total = total === undefined ? chunk : sumOf(total, chunk);
    say(`simulated: ${total.crashes} crashes, ${total.violations.length} wrong`);
    if (chunk.crashes === 0) break;
    // A look at the signals.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return total;
}

/** One run of the simulation with everything that happened in it. */
async function replaySim(name: string, seed: number): Promise<number> {
  const { verdict, trace } = await replay(simulatedCell(name), seed);
  const { violations, end } = verdict;
  const words = violations.length > 0 ? `WRONG  ${violations.join('; ')}` : `${end}, as predicted`;
  process.stdout.write(`${trace}\n${name}, seed ${seed}: ${words}\n`);
  return violations.length > 0 ? 1 : 0;
}

function simulatedCell(name: string): SimulatedCell {
  try {
    return simulatedCellOf(name);
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

function sumOf(one: SimulationReport, other: SimulationReport): SimulationReport {
  const reached = { ...one.reached };
  for (const [what, times] of Object.entries(other.reached)) {
    reached[what] = (reached[what] ?? 0) + times;
  }
  return {
    seed: one.seed,
    runs: one.runs + other.runs,
    crashes: one.crashes + other.crashes,
    duplicated: one.duplicated + other.duplicated,
    lost: one.lost + other.lost,
    inDoubt: one.inDoubt + other.inDoubt,
    predicted: {
      mustDoubt: one.predicted.mustDoubt + other.predicted.mustDoubt,
      mayDoubt: one.predicted.mayDoubt + other.predicted.mayDoubt,
    },
    succeeded: one.succeeded + other.succeeded,
    violations: [...one.violations, ...other.violations],
    reached,
  };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped.signal.aborted) process.exit(130);
    say('stopping: what was seen so far follows; once more to stop at once');
    stopped.abort();
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = stopped.signal.aborted ? 130 : 1;
  if (error instanceof UsageError) process.exitCode = 2;
  process.stderr.write(`${errorText(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${USAGE}\n`);
}
// What was under way when it was stopped still waits for its processes; standard output may be a pipe.
if (stopped.signal.aborted) process.stdout.write('', () => process.exit());
