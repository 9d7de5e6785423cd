// Zombies in volume: attempts that wake up when another one has finished send nothing, claim nothing, and tell what they saw.
// PAWL_ZOMBIE_SEED=n repeats a choice (printed); PAWL_ZOMBIES_POSTGRES=n: so many of them on a real database.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createWire } from '../../activities/effects/wire.ts';
import type { EffectIntent, EffectLedger } from '../../activities/ledger/effect-ledger.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { type Bank, startBank } from '../../devstack/receivers/bank.ts';
import type { StoredFact } from '../../testing/effect-ledger-fixture.ts';
import { createMemoryEffectLedger } from '../../testing/memory-effect-ledger.ts';
import { guarantee } from '../guarantee.ts';
import { createScratch } from '../unit/receivers-support.ts';
import { bankProbe, bankTool, intentOf, KEY, type PaymentTool } from './support-engine.ts';
import { createLedgerBench, type LedgerBench } from './support-ledger.ts';
import {
  createStoppedClock,
  type WakeUp,
  wakeUp,
  ZOMBIE_POINTS,
  type ZombieCase,
  type ZombiePoint,
  type ZombieSetting,
} from './support-zombies.ts';

const TEST_MS = 300_000;
const IN_MEMORY = 1_000;
const ON_POSTGRES = Number(process.env['PAWL_ZOMBIES_POSTGRES'] ?? 48);
const SIDE_BY_SIDE = 16;
const seed = Number(process.env['PAWL_ZOMBIE_SEED'] ?? Date.now() % 1_000_000);

const scratch = createScratch();
const wire = createWire({ privateNetworks: 'allow' });
let bank: Bank;
let postgres: LedgerBench;
let tools: readonly PaymentTool[];

beforeAll(async () => {
  bank = scratch.closing(await startBank({ logFile: scratch.logFile() }));
  postgres = await createLedgerBench();
  const { url } = bank;
  const timeout = '30s';
  tools = [
    bankTool(url, { name: 'pay_keyed', timeout, effect: KEY }),
    bankTool(url, { name: 'pay_once', timeout, effect: 'once' }),
    bankTool(url, { name: 'pay_reconcilable', timeout, effect: { probe: bankProbe(url) } }),
  ];
});
afterAll(async () => {
  await scratch.cleanUp();
  await postgres.close();
});

/** What a zombie must leave behind by its own fence: kept however late. */
const LATE_FACTS: Readonly<Record<ZombiePoint, readonly string[]>> = {
  'before-intent': [],
  'after-intent': [],
  'before-dispatch': [],
  'before-send': ['not_sent'],
  // The answer was on its way: heard in time, or not any more.
  'mid-request': ['applied', 'ambiguous'],
  'after-send': ['applied', 'ambiguous'],
  'before-settle': ['applied'],
  'after-settle': ['applied'],
};

const dispatches = (facts: readonly StoredFact[]): number =>
  facts.filter(({ kind }) => kind === 'dispatched').length;

interface Count {
  readonly wakeUps: number;
  readonly sends: number;
  readonly claims: number;
}

/** Throws what is wrong with one wake-up; returns what it sent and claimed. */
function judge(
  { before, after, fence }: WakeUp,
  { point, tool }: ZombieCase,
): Omit<Count, 'wakeUps'> {
  const hint = `${tool.name} ${point} (PAWL_ZOMBIE_SEED=${seed})`;
  const late = after.facts.filter((fact) => fact.fence === fence && fact.kind !== 'dispatched');
  const expected = LATE_FACTS[point];
  if (expected.length > 0 && !late.some(({ kind }) => expected.includes(kind))) {
    throw new Error(`${hint}: its late fact is lost: ${JSON.stringify(late)}`);
  }
  const knew = after.facts.some(({ kind }) => kind === 'applied');
  expect({
    hint,
    status: after.record.state.status,
    conflict: after.record.state.conflict,
  }).toEqual({ hint, status: knew ? 'applied' : 'in_doubt', conflict: false });
  if (before.record.state.status === 'applied') {
    expect({ hint, output: after.record.output }).toEqual({ hint, output: before.record.output });
  }
  expect({ hint, by: after.record.claimedBy }).toEqual({ hint, by: before.record.claimedBy });
  return {
    sends: after.sends - before.sends,
    claims:
      after.record.fence - before.record.fence + dispatches(after.facts) - dispatches(before.facts),
  };
}

/** As a worker's claim: a little longer than the time-out. */
const LEASE_MS = 31_000;

type ToSetting = (intent: EffectIntent) => Omit<ZombieSetting, 'wire' | 'sendsOf'>;

/** `count` wake-ups of effects and points by the seed, some at the same time. */
async function wakeMany(count: number, toSetting: ToSetting): Promise<Count> {
  const random = seededRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const cases = Array.from({ length: count }, (): ZombieCase & { reference: string } => {
    const tool = pick(tools);
    const reference = `INV-${randomUUID()}`;
    const intent = intentOf(tool, { reference, cents: 100 });
    return { tool, intent, point: pick(ZOMBIE_POINTS), leaseMs: LEASE_MS, reference };
  });
  const judged: Omit<Count, 'wakeUps'>[] = [];
  const work = async (): Promise<void> => {
    for (let one = cases.pop(); one; one = cases.pop()) {
      const setting = {
        ...toSetting(one.intent),
        wire,
        sendsOf: () => sendsOf(one.reference),
      };
      judged.push(judge(await wakeUp(setting, one), one));
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  const sum = (of: (one: Omit<Count, 'wakeUps'>) => number): number =>
    judged.reduce((total, one) => total + of(one), 0);
  return {
    wakeUps: judged.length,
    sends: sum(({ sends }) => sends),
    claims: sum((one) => one.claims),
  };
}

function print(where: string, { wakeUps, sends, claims }: Count): void {
  process.stderr.write(
    `${where}: ${wakeUps.toLocaleString('en')} wake-ups: ${sends} sends, ${claims} claims ` +
      `(PAWL_ZOMBIE_SEED=${seed})\n`,
  );
}

const sendsOf = (reference: string): number =>
  bank.requests({ method: 'POST' }).filter(({ body }) => body.includes(reference)).length;

describe('attempts that wake up when another one has finished', () => {
  guarantee(
    ['S1-13', 'F-18', 'law-04-facts'],
    `${IN_MEMORY} of them, stopped anywhere → no send, no claim, every late fact is kept`,
    async () => {
      const count = await wakeMany(IN_MEMORY, () => {
        const clock = createStoppedClock();
        return { under: underMemory(clock), clock, pass: clock.pass };
      });
      print('in memory', count);
      expect(count).toEqual({ wakeUps: IN_MEMORY, sends: 0, claims: 0 });
    },
    TEST_MS,
  );

  guarantee(
    ['S1-13', 'F-18', 'F-04', 'law-04-facts'],
    'on a real database → the same',
    async () => {
      const count = await wakeMany(ON_POSTGRES, (intent) => {
        const clock = createStoppedClock();
        return { under: underPostgres(intent, clock), clock, pass: clock.pass };
      });
      print('on PostgreSQL', count);
      expect(count).toEqual({ wakeUps: ON_POSTGRES, sends: 0, claims: 0 });
    },
    TEST_MS,
  );
});

type Under = ZombieSetting['under'];

function underMemory(clock: { nowMs(): number }): Under {
  const ledger = createMemoryEffectLedger({ clock });
  return { ledger, facts: ledger.facts };
}

/** The database has a clock of its own: before each look the effect gets as much older as time has passed on this one. */
function underPostgres(intent: EffectIntent, clock: { nowMs(): number }): Under {
  let seenAtMs = clock.nowMs();
  const begin: EffectLedger['begin'] = async (...look) => {
    const passedMs = clock.nowMs() - seenAtMs;
    seenAtMs += passedMs;
    // Not while it is looked at: an effect that has changed since is looked at again, for ever.
    if (passedMs > 0) await postgres.pass(intent, passedMs);
    return postgres.ledger.begin(...look);
  };
  return { ledger: { ...postgres.ledger, begin }, facts: postgres.facts };
}
