// The comparison proper: each system through the same plan, all at the same time, each with banks of its own.
import { join } from 'node:path';
import { packageRoot } from '../../activities/package-root.ts';
import type { ContrastOptions } from './options.ts';
import { makePlan, type Plan } from './plan.ts';
import { type Compared, findChanges, render, whatIsWrong } from './report.ts';
import { runSystem } from './run-system.ts';
import type { Outcome, Scene } from './scene.ts';
import { openServers } from './servers.ts';
import type { System } from './system.ts';
import { chooseSystems } from './systems.ts';
import { judge } from './verdict.ts';

const INVOICES_PER_RUN = 5;

export async function compare(options: ContrastOptions, scene: Scene): Promise<Outcome> {
  const { seed, runs } = options;
  const plan = makePlan({ seed, runs, invoicesPerRun: INVOICES_PER_RUN });
  const { systems, notRun } = chooseSystems(options.systems, await openServers(scene));
  for (const { name, install } of notRun) scene.say(`${name}: not run: ${install}`);
  const compared = await runAll(systems, plan, scene);
  const changes = findChanges(join(packageRoot(), 'examples/contrast'));
  const problem = whatIsWrong(compared, changes);
  return {
    result: { v: 1, seed, systems: compared, notRun, changes, problem: problem ?? null },
    text: render(compared, notRun, changes),
    problem,
    success: 'every payment with effect() was made once',
  };
}

/** Where one breaks, the others are stopped, and the command ends with its error. */
async function runAll(
  systems: readonly System[],
  plan: Plan,
  scene: Scene,
): Promise<readonly Compared[]> {
  const broken = new AbortController();
  const signal = AbortSignal.any([scene.signal, broken.signal]);
  const runs = systems.map((system) => runOne(system, plan, { ...scene, signal }));
  for (const run of runs) run.catch((error: unknown) => broken.abort(error));
  await Promise.allSettled(runs);
  signal.throwIfAborted();
  return Promise.all(runs);
}

async function runOne(system: System, plan: Plan, scene: Scene): Promise<Compared> {
  const { name, hasResets, note } = system;
  scene.say(`${name}: ${plan.runs.length} batches of ${INVOICES_PER_RUN} payments`);
  const { kills, resets, seconds, ...run } = await runSystem(system, plan, scene);
  const verdict = judge(plan, run.receipts, run.statement);
  scene.say(`${name}: done in ${seconds} s, ${verdict.duplicates} duplicates`);
  return {
    ...{ name, hasResets, ...(note === undefined ? {} : { note }) },
    ...verdict,
    ...{ kills, resets, seconds },
  };
}
