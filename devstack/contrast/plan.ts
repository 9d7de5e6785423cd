// What one comparison does, decided from its seed alone: the batches, the banks' faults, the kills and the resets.
import type { Batch, Invoice } from '../../examples/contrast/invoice.ts';

/** What happens to one payment. */
export type Fault = 'none' | 'killed-after-commit' | 'answer-never-comes' | 'connection-reset';

export interface PlannedInvoice extends Invoice {
  readonly fault: Fault;
}

export interface PlannedRun {
  readonly batch: string;
  readonly invoices: readonly PlannedInvoice[];
  /** When the bank has this reference, an operator resets the workflow to its start (without one: the batch is delivered again); undefined: never. */
  readonly resetAfter: string | undefined;
}

export interface Plan {
  readonly seed: number;
  readonly runs: readonly PlannedRun[];
}

export interface PlanOptions {
  readonly seed: number;
  readonly runs: number;
  readonly invoicesPerRun: number;
}

const KILLED: Fault = 'killed-after-commit';
const BANKS = ['north', 'south'] as const;
/** So many kills, or one for ten runs where that is more. */
const KILLS_MIN = 4;
const RUNS_PER_KILL = 10;
/** Each third run is reset in the middle. */
const RESET_EVERY = 3;

/** The same plan for the same options, on every machine. */
export function makePlan({ seed, runs, invoicesPerRun }: PlanOptions): Plan {
  const random = seededRandom(seed);
  const kills = Math.max(KILLS_MIN, Math.round(runs / RUNS_PER_KILL));
  const killedRuns = shuffled(range(runs), random).slice(0, kills);
  return {
    seed,
    runs: range(runs).map((run) => {
      const batch = `batch-${seed}-${run}`;
      const kill = killedRuns.indexOf(run);
      const faults = shuffled(faultsOf(kill >= 0, invoicesPerRun), random);
      const invoices = faults.map((fault, at) => {
        const invoice = planInvoice(batch, at, fault, random);
        // Half of the kills at each bank, whatever the dice say.
        return fault === KILLED ? { ...invoice, bank: BANKS[kill % 2] ?? 'north' } : invoice;
      });
      const middle = invoices[Math.floor(invoicesPerRun / 2)];
      return {
        batch,
        invoices,
        resetAfter: run % RESET_EVERY === 0 ? middle?.reference : undefined,
      };
    }),
  };
}

function faultsOf(isKilled: boolean, count: number): Fault[] {
  const kinds: Fault[] = [isKilled ? KILLED : 'none', 'answer-never-comes', 'connection-reset'];
  return range(count).map((at) => kinds[at] ?? 'none');
}

function planInvoice(
  batch: string,
  at: number,
  fault: Fault,
  random: () => number,
): PlannedInvoice {
  return {
    bank: random() < 0.5 ? 'north' : 'south',
    reference: `${batch}-invoice-${at + 1}`,
    payee: `payee-${Math.floor(random() * 50)}`,
    amountMinor: 100 + Math.floor(random() * 100_000),
    currency: 'EUR',
    fault,
  };
}

/** What the workflow is given. */
export function toInput({ batch, invoices }: PlannedRun): Batch {
  return { batch, invoices: invoices.map(({ fault: _fault, ...invoice }) => invoice) };
}

/** Mulberry32: small, and the same everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const left = [...values];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(Math.floor(random() * left.length), 1));
  return result;
}
