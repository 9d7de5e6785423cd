// Measures what the effect ledger costs: three kinds of steps in interleaved rounds, on the same servers and the same worker.
import { openDatabase } from '../../activities/ledger/database.ts';
import { type TestRun, withTestRun } from '../../testing/index.ts';
import { readServerSettings } from '../server-settings.ts';
import type { Commits } from './commits.ts';
import { type Measured, perVariant, type Receipts, type SafetyReport, toReport } from './report.ts';
import {
  countSteps,
  createPaymentSite,
  type PaymentSite,
  timeCrowd,
  timeSteps,
} from './through-temporal.ts';
import { createStepsTable, type PerVariant, type Variant, VARIANTS } from './variants.ts';
import { openEngineSite } from './without-temporal.ts';

export interface SafetyOptions {
  /** Of each variant in each round, one after the other. */
  readonly effects: number;
  readonly rounds: number;
  /** Workflows at once. */
  readonly concurrency: number;
  readonly onProgress?: (message: string) => void;
}

/** Each workflow of the crowd makes this share of `effects`: it is about many, not about long ones. */
const CROWD_SHARE = 0.05;
const WARM_UP_EFFECTS = 20;

/** On the servers that `findTestServers` finds. Judges nothing by its time. */
export function measureSafety(options: SafetyOptions): Promise<SafetyReport> {
  const site = createPaymentSite();
  return withTestRun(site.options, async (t) => {
    await prepare(t);
    const settings = {
      ...(await readServerSettings(t.temporal, t.databaseUrl)),
      ...describe(options),
    };
    site.openFloor(t.databaseUrl);
    const throughTemporal = await runRounds(t, options);
    await t.stopWorker();
    await site.closeFloor();
    const withoutTemporal = await runEngineRounds(t, options);
    const commits = await countAll(t, site, options);
    return toReport({
      settings,
      ...throughTemporal,
      ...withoutTemporal,
      commits,
      counted: options.effects,
      receipts: readReceipts(t, options),
    });
  });
}

async function prepare(t: TestRun): Promise<void> {
  const database = openDatabase({ url: t.databaseUrl });
  await createStepsTable(database);
  await database.close();
}

function effectsOfCrowd({ effects }: SafetyOptions): number {
  return Math.max(1, Math.round(effects * CROWD_SHARE));
}

function warmUpOf({ effects }: SafetyOptions): number {
  return Math.min(effects, WARM_UP_EFFECTS);
}

async function runRounds(
  t: TestRun,
  options: SafetyOptions,
): Promise<Pick<Measured, 'steps' | 'crowd'>> {
  const steps = perVariant((): (readonly number[])[] => []);
  const crowd = perVariant((): number[] => []);
  const plan = { workflows: options.concurrency, effectsEach: effectsOfCrowd(options) };
  for (const variant of VARIANTS) await timeSteps(t, variant, warmUpOf(options));
  for (let round = 1; round <= options.rounds; round += 1) {
    options.onProgress?.(`round ${round} of ${options.rounds}`);
    for (const variant of VARIANTS) {
      steps[variant].push(await timeSteps(t, variant, options.effects));
    }
    for (const variant of VARIANTS) crowd[variant].push(await timeCrowd(t, variant, plan));
  }
  return { steps, crowd };
}

async function runEngineRounds(
  t: TestRun,
  options: SafetyOptions,
): Promise<Pick<Measured, 'engine' | 'statements'>> {
  options.onProgress?.('the engine alone');
  const engine = await openEngineSite(t.databaseUrl, t.bank.url);
  const times = perVariant((): (readonly number[])[] => []);
  const statements = { plain: 0, ledger: 0, floor: 0 };
  try {
    for (const variant of VARIANTS) {
      const before = engine.statements();
      await engine.time(variant, warmUpOf(options));
      statements[variant] = (engine.statements() - before) / warmUpOf(options);
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const variant of VARIANTS) {
        times[variant].push(await engine.time(variant, options.effects));
      }
    }
  } finally {
    await engine.close();
  }
  return { engine: times, statements };
}

async function countAll(
  t: TestRun,
  site: PaymentSite,
  { effects, onProgress }: SafetyOptions,
): Promise<PerVariant<Commits>> {
  onProgress?.('commits');
  const count = (variant: Variant): Promise<Commits> => countSteps(t, site, variant, effects);
  return {
    plain: await count('plain'),
    ledger: await count('ledger'),
    floor: await count('floor'),
  };
}

function readReceipts(t: TestRun, options: SafetyOptions): Receipts {
  const { effects, rounds, concurrency } = options;
  const each = 2 * (warmUpOf(options) + rounds * effects) + effects;
  const crowd = rounds * concurrency * effectsOfCrowd(options);
  const counts = new Map<string, number>();
  for (const { reference } of t.bank.receipts()) {
    counts.set(reference, (counts.get(reference) ?? 0) + 1);
  }
  const duplicated = [...counts].filter(([, count]) => count > 1).map(([reference]) => reference);
  return { asked: VARIANTS.length * (each + crowd), found: t.bank.receipts().length, duplicated };
}

function describe(options: SafetyOptions): Measured['settings'] {
  return {
    rounds: options.rounds,
    'effects a round': options.effects,
    'workflows at once': options.concurrency,
    'effects each': effectsOfCrowd(options),
  };
}
