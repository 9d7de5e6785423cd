// Every contract against every fault of a receiver: counted in the receiver's own log, never in ours.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import type { ModeKind, ModeOptions } from '../../devstack/receivers/modes.ts';
import { type Bank, startBank } from '../../devstack/receivers/bank.ts';
import { type Mailbox, startMailbox } from '../../devstack/receivers/mailbox.ts';
import type { RequestLine } from '../../devstack/receivers/receipts-log.ts';
import { until } from '../../testing/until.ts';
import { createScratch } from '../unit/receivers-support.ts';
import {
  bankProbe,
  bankTool,
  createEngineBench,
  intentOf,
  KEY,
  mailTool,
  type PaymentTool,
} from './support-engine.ts';
import { createHandClock } from './support-hand-clock.ts';
import { createLedgerBench, type LedgerBench } from './support-ledger.ts';

const scratch = createScratch();
let under: LedgerBench;
let bank: Bank;
let mailbox: Mailbox;
beforeAll(async () => {
  under = await createLedgerBench();
  bank = scratch.closing(await startBank({ logFile: scratch.logFile() }));
  mailbox = scratch.closing(await startMailbox({ logFile: scratch.logFile() }));
});
afterAll(async () => {
  await scratch.cleanUp();
  await under.close();
});

type Fault = readonly [ModeKind, ModeOptions?];

/** A row of the table: what the receiver does, and what has to come of it. */
interface Row {
  readonly faults: readonly Fault[];
  /** Faults of the look-up. */
  readonly lookUp?: Fault;
  /** When the time of the first send is up: the receiver has got it, or has done it. @default it never is */
  readonly timeIsUp?: 'arrived' | 'done';
  /** How long the engine gives the receiver before it sends for the last time. @default longer than its time-out */
  readonly leaseMs?: number;
  readonly outcome: EffectOutcome['kind'];
  readonly receipts: number;
  /** Writes on the wire; a pair is a range. */
  readonly writes: number | readonly [number, number];
}

interface Seen {
  readonly outcome: EffectOutcome;
  readonly receipts: number;
  readonly writes: readonly RequestLine[];
  readonly stored: string;
}

const DAY_MS = 86_400_000;
const once = { times: 1 };
const nameOf = ({ faults, lookUp }: Row): string =>
  [...faults, ...(lookUp ? [['look-up', lookUp] as const] : [])]
    .map((fault) => JSON.stringify(fault).replaceAll('"', ''))
    .join(' ');

/** Runs all rows of a contract side by side: each has a reference, and therefore a mode, of its own. */
function describeRows(
  contract: string,
  receiver: () => Bank | Mailbox,
  tool: () => PaymentTool,
  rows: readonly Row[],
): void {
  describe(contract, () => {
    const seen = new Map<Row, Seen>();
    beforeAll(async () => {
      await Promise.all(
        rows.map(async (row, index) => {
          seen.set(row, await carryOut(row, `${contract}-${index}`, receiver(), tool()));
        }),
      );
    });
    it.each(rows.map((row) => [nameOf(row), row.outcome, row] as const))(
      '%s → %s',
      (_name, _kind, row) => {
        const { outcome, receipts, writes, stored } = seen.get(row) ?? fail();
        const [least, most] =
          typeof row.writes === 'number' ? [row.writes, row.writes] : row.writes;
        expect({ kind: outcome.kind, receipts }).toEqual({
          kind: row.outcome,
          receipts: row.receipts,
        });
        expect(stored).toBe(row.outcome);
        expect(writes.length).toBeGreaterThanOrEqual(least);
        expect(writes.length).toBeLessThanOrEqual(most);
        expect(new Set(writes.map(({ body }) => body)).size).toBe(1);
        expect(new Set(writes.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
      },
    );
  });
}

function fail(): never {
  throw new Error('The row was not carried out.');
}

async function carryOut(
  row: Row,
  reference: string,
  receiver: Bank | Mailbox,
  tool: PaymentTool,
): Promise<Seen> {
  for (const [mode, options] of row.faults) receiver.addMode({ reference }, mode, options);
  if (row.lookUp) receiver.addMode({ reference, method: 'GET' }, ...row.lookUp);
  const intent = intentOf(tool, { reference, cents: 100 });
  const written = (): readonly RequestLine[] =>
    receiver.requests({ method: 'POST' }).filter(({ body }) => body.includes(`"${reference}"`));
  const receipts = (): number => receiver.receipts({ reference }).length;
  const hasCome = { arrived: () => written().length > 0, done: () => receipts() > 0 };
  const clock = createHandClock();
  const engine = createEngineBench({ ledger: under.ledger, clock });
  const claim = row.leaseMs === undefined ? {} : { leaseMs: row.leaseMs };
  const [outcome] = await Promise.all([
    engine.perform(tool, intent, {
      claim,
      // Four failing look-ups are as good as two minutes of them.
      beforeRetry: () => under.passFailing(intent, 40_000),
    }),
    row.timeIsUp && until(hasCome[row.timeIsUp]).then(clock.timeIsUp),
  ]);
  const stored = await under.ledger.begin(intent.tenant, intent.id, intent.rootKey);
  return {
    outcome,
    receipts: receipts(),
    writes: written(),
    stored: stored?.record.state.status ?? 'unknown',
  };
}

/** The receiver has the request, or has done it as well, and the client hears nothing in time. */
const SILENT = { timeIsUp: 'arrived' } as const;
const DONE = { timeIsUp: 'done' } as const;
const APPLIED = { outcome: 'applied', receipts: 1 } as const;
const REFUSED = { outcome: 'refused', receipts: 0, writes: 1 } as const;
const DOUBT = { outcome: 'in_doubt' } as const;

describeRows(
  'keyed',
  () => bank,
  () => bankTool(bank.url, { effect: KEY }),
  [
    { faults: [], ...APPLIED, writes: 1 },
    { faults: [['slow', { delayMs: 100 }]], ...APPLIED, writes: 1 },
    {
      faults: [['slow', { delayMs: 2_200, ...once }]],
      ...DONE,
      leaseMs: 3_000,
      ...APPLIED,
      writes: [2, 4],
    },
    {
      faults: [['late-commit', { delayMs: 1_900, ...once }]],
      ...SILENT,
      leaseMs: 3_000,
      ...APPLIED,
      writes: [2, 4],
    },
    { faults: [['reject-before-commit']], ...REFUSED },
    { faults: [['500-before', once]], ...APPLIED, writes: 2 },
    { faults: [['500-before']], ...DOUBT, receipts: 0, writes: 4 },
    { faults: [['500-after']], ...DOUBT, receipts: 1, writes: 4 },
    { faults: [['commit-then-hang', once]], ...DONE, ...APPLIED, writes: 2 },
    { faults: [['hang-before-commit', once]], ...SILENT, ...APPLIED, writes: 2 },
    { faults: [['commit-then-reset', once]], ...APPLIED, writes: 2 },
    { faults: [['reset-mid-body', once]], ...APPLIED, writes: 2 },
    { faults: [['409-in-flight', once]], ...APPLIED, writes: 2 },
    { faults: [['429', { retryAfterSeconds: 1, ...once }]], ...APPLIED, writes: 2 },
    {
      faults: [
        ['commit-then-reset', once],
        ['500-before', once],
      ],
      ...APPLIED,
      writes: 3,
    },
    {
      faults: [['hang-before-commit', once], ['reject-before-commit']],
      ...SILENT,
      ...REFUSED,
      writes: 2,
    },
  ],
);

describeRows(
  'keyed with a probe',
  () => bank,
  () => bankTool(bank.url, { effect: { ...KEY, probe: bankProbe(bank.url) } }),
  [
    { faults: [], ...APPLIED, writes: 1 },
    { faults: [['500-after']], ...APPLIED, writes: 4 },
    { faults: [['500-before']], ...DOUBT, receipts: 0, writes: 4 },
    { faults: [['commit-then-hang', once]], ...DONE, ...APPLIED, writes: 2 },
  ],
);

describeRows(
  'reconcilable',
  () => bank,
  () => bankTool(bank.url, { effect: { probe: bankProbe(bank.url) } }),
  [
    { faults: [], ...APPLIED, writes: 1 },
    { faults: [['slow', { delayMs: 100 }]], ...APPLIED, writes: 1 },
    { faults: [['slow', { delayMs: 2_200, ...once }]], ...DONE, ...APPLIED, writes: 1 },
    // Later than two looks, sooner than the settle window.
    { faults: [['late-commit', { delayMs: 1_200, ...once }]], ...SILENT, ...APPLIED, writes: 1 },
    { faults: [['reject-before-commit']], ...REFUSED },
    { faults: [['500-before', once]], ...APPLIED, writes: 2 },
    { faults: [['500-after', once]], ...APPLIED, writes: 1 },
    { faults: [['commit-then-hang', once]], ...DONE, ...APPLIED, writes: 1 },
    { faults: [['hang-before-commit', once]], ...SILENT, ...APPLIED, writes: 2 },
    { faults: [['commit-then-reset', once]], ...APPLIED, writes: 1 },
    { faults: [['reset-mid-body', once]], ...APPLIED, writes: 1 },
    { faults: [['409-in-flight', once]], ...APPLIED, writes: 2 },
    { faults: [['429', { retryAfterSeconds: 1, ...once }]], ...APPLIED, writes: 2 },
    {
      faults: [['commit-then-hang', once]],
      lookUp: ['stale-lookup', { delayMs: 1_200 }],
      ...DONE,
      ...APPLIED,
      writes: 1,
    },
    {
      faults: [['commit-then-reset', once]],
      lookUp: ['500-before'],
      ...DOUBT,
      receipts: 1,
      writes: 1,
    },
    // A look-up that fails for a while: found, or absent and sent again, with nobody asked.
    {
      faults: [['commit-then-reset', once]],
      lookUp: ['500-before', { times: 3 }],
      ...APPLIED,
      writes: 1,
    },
    {
      faults: [['500-before', once]],
      lookUp: ['500-before', { times: 3 }],
      ...APPLIED,
      writes: 2,
    },
    { faults: [['500-before']], ...DOUBT, receipts: 0, writes: 4 },
  ],
);

describeRows(
  'reconcilable, with a settle window of its own',
  () => bank,
  () => bankTool(bank.url, { effect: { probe: { look: bankProbe(bank.url), settleMs: 4_500 } } }),
  [
    { faults: [], ...APPLIED, writes: 1 },
    // Later than the window of those that say nothing.
    { faults: [['late-commit', { delayMs: 3_500, ...once }]], ...SILENT, ...APPLIED, writes: 1 },
    { faults: [['hang-before-commit', once]], ...SILENT, ...APPLIED, writes: 2 },
  ],
);

describeRows(
  'once',
  () => mailbox,
  () => mailTool(mailbox.url),
  [
    { faults: [], ...APPLIED, writes: 1 },
    { faults: [['slow', { delayMs: 100 }]], ...APPLIED, writes: 1 },
    { faults: [['reject-before-commit']], ...REFUSED },
    { faults: [['slow', { delayMs: 2_200 }]], ...DONE, ...DOUBT, receipts: 1, writes: 1 },
    { faults: [['500-before']], ...DOUBT, receipts: 0, writes: 1 },
    { faults: [['500-after']], ...DOUBT, receipts: 1, writes: 1 },
    { faults: [['commit-then-hang']], ...DONE, ...DOUBT, receipts: 1, writes: 1 },
    { faults: [['hang-before-commit']], ...SILENT, ...DOUBT, receipts: 0, writes: 1 },
    { faults: [['commit-then-reset']], ...DOUBT, receipts: 1, writes: 1 },
    { faults: [['reset-mid-body']], ...DOUBT, receipts: 1, writes: 1 },
    { faults: [['429']], ...DOUBT, receipts: 0, writes: 1 },
  ],
);

describe('a key that the receiver forgets', () => {
  /** A bank that has lost the answer once and honours no key any more; the retry comes after the horizon. */
  async function late(reference: string, tool: PaymentTool) {
    bank.addMode({ reference }, 'commit-then-reset', once);
    bank.addMode({ reference }, 'key-expiry');
    const intent = intentOf(tool, { reference, cents: 100 });
    const beforeRetry = (): Promise<void> => under.pass(intent, DAY_MS);
    const outcome = await createEngineBench(under).perform(tool, intent, { beforeRetry });
    return { outcome, receipts: bank.receipts({ reference }).length };
  }

  it('a retry past the horizon → not resent: in doubt', async () => {
    expect(await late('forgotten', bankTool(bank.url, { effect: KEY }))).toMatchObject({
      outcome: {
        kind: 'in_doubt',
        reason: 'sent, no definite answer, and the receiver no longer honours the key',
      },
      receipts: 1,
    });
  });

  it('a retry past the horizon, with a probe → asked, and found', async () => {
    const effect = { ...KEY, probe: bankProbe(bank.url) };
    expect(await late('asked', bankTool(bank.url, { effect }))).toMatchObject({
      outcome: { kind: 'applied', alreadyApplied: false },
      receipts: 1,
    });
  });
});
