// Zombies in one process: an attempt stops at a point, another one finishes, and then the first wakes up.
import { ApplicationFailure } from '@temporalio/common';
import { type Clock, systemClock } from '../../activities/clock.ts';
import type { CrashPoint } from '../../activities/effects/crash-points.ts';
import { createEffectEngine } from '../../activities/effects/effect-engine.ts';
import type { EffectIntent, EffectRecord } from '../../activities/ledger/effect-ledger.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import type { LedgerUnderTest, StoredFact } from '../../testing/effect-ledger-fixture.ts';
import { nextOrder, type PaymentTool } from './support-engine.ts';

/** Where a zombie sleeps, from before its intent to behind its record. */
export const ZOMBIE_POINTS = [
  'before-intent',
  'after-intent',
  'before-dispatch',
  'before-send',
  'mid-request',
  'after-send',
  'before-settle',
  'after-settle',
] as const satisfies readonly CrashPoint[];
export type ZombiePoint = (typeof ZOMBIE_POINTS)[number];

export interface ZombieSetting {
  readonly under: Pick<LedgerUnderTest, 'ledger' | 'facts'>;
  readonly wire: typeof fetch;
  readonly clock: Clock;
  /** Lets time pass: what the zombie held is over then. */
  readonly pass: (delayMs: number) => Promise<void>;
  /** How often the receiver was asked for this effect, by its own log. */
  readonly sendsOf: () => number;
}

export interface ZombieCase {
  readonly tool: PaymentTool;
  readonly intent: EffectIntent;
  readonly point: ZombiePoint;
  readonly leaseMs: number;
}

/** What stands before the zombie wakes, or after. */
export interface Standing {
  readonly record: EffectRecord;
  readonly facts: readonly StoredFact[];
  readonly sends: number;
}

export interface WakeUp {
  readonly before: Standing;
  readonly after: Standing;
  /** The fence of the zombie's own permit; undefined when it had none. */
  readonly fence: number | undefined;
}

/** One wake-up: stop, time passes, another attempt finishes, go on. */
export async function wakeUp(setting: ZombieSetting, one: ZombieCase): Promise<WakeUp> {
  const { point, intent } = one;
  const gate = createGate();
  const old = attempt(setting, one, (reached) => (reached === point ? gate.pass() : undefined));
  const slept = await Promise.race([gate.reached.then(() => true), old.then(() => false)]);
  if (!slept) throw new Error(`the zombie never came to ${point}`);
  if (point === 'mid-request') while (setting.sendsOf() === 0) await systemClock.sleep(1);
  const held = await standing(setting, intent).catch(() => undefined);
  await setting.pass(one.leaseMs + 1);
  await finish(setting, one);
  const before = await standing(setting, intent);
  gate.open();
  await old;
  const isPermitted = held !== undefined && held.record.fence > 0;
  const fence = isPermitted ? held.record.fence : undefined;
  return { before, after: await standing(setting, intent), fence };
}

type Hook = (point: CrashPoint) => void | Promise<void>;

/** Its attempt number is 1, as after an activity reset; what Temporal makes of its end is nothing. */
function attempt(
  { under, wire, clock }: ZombieSetting,
  { tool, intent, leaseMs }: ZombieCase,
  crash: Hook,
): Promise<EffectOutcome | undefined> {
  const order = nextOrder();
  const engine = createEffectEngine({
    ledger: under.ledger,
    wire,
    clock,
    crash,
    random: () => 0.5,
  });
  return engine
    .perform({
      tool,
      tenant: intent.tenant,
      id: intent.id,
      rootKey: intent.rootKey,
      intent,
      seqSeen: 0,
      claim: { order, by: `attempt ${order}`, attempt: 1, leaseMs },
    })
    .catch((error: unknown) => {
      if (error instanceof ApplicationFailure && error.nonRetryable !== true) return undefined;
      throw error;
    });
}

const ATTEMPTS_MAX = 50;
/** All of them together outlast two leases: a bank that is still at work on the zombie's request refuses the key. */
const RETRY_MS = 2_000;

/** Attempts of healthy workers, until the outcome is definite or in doubt. */
async function finish(setting: ZombieSetting, one: ZombieCase): Promise<EffectOutcome> {
  for (let tries = 1; tries <= ATTEMPTS_MAX; tries += 1) {
    const outcome = await attempt(setting, one, () => undefined);
    if (outcome) return outcome;
    await setting.pass(RETRY_MS);
  }
  throw new Error(`${one.intent.shortId} was not finished in ${ATTEMPTS_MAX} attempts`);
}

async function standing(
  { under, sendsOf }: ZombieSetting,
  intent: EffectIntent,
): Promise<Standing> {
  const begin = await under.ledger.begin(intent.tenant, intent.id, intent.rootKey);
  if (!begin) throw new Error('no such effect yet');
  return { record: begin.record, facts: await under.facts(intent), sends: sendsOf() };
}

function createGate() {
  let open: () => void = () => undefined;
  let reach: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  return {
    open: () => open(),
    reached,
    pass(): Promise<void> {
      reach();
      return opened;
    },
  };
}

/** A clock that stands still until it is told to go on: time-outs fire while it passes them. */
export function createStoppedClock(): Clock & { pass(delayMs: number): Promise<void> } {
  let nowMs = 1_000;
  const timers: { readonly atMs: number; readonly controller: AbortController }[] = [];
  const pass = (delayMs: number): Promise<void> => {
    nowMs += delayMs;
    for (const { atMs, controller } of timers) {
      if (atMs <= nowMs) controller.abort(new DOMException('time is up', 'TimeoutError'));
    }
    return Promise.resolve();
  };
  return {
    nowMs: () => nowMs,
    sleep: pass,
    pass,
    deadline(delayMs) {
      const controller = new AbortController();
      timers.push({ atMs: nowMs + delayMs, controller });
      return { signal: controller.signal, cancel: () => undefined };
    },
  };
}
