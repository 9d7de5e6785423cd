// The verdicts of the comparison have teeth: each planted wrong receipt is counted and fails the command.
import { describe, expect, it } from '@jest/globals';
import { type LockRun, whatIsWrongWithLocks } from '../../devstack/contrast/lock.ts';
import {
  type TransferRun,
  whatIsWrongWithTransfers,
} from '../../devstack/contrast/money-transfer.ts';
import { makePlan, type PlannedInvoice } from '../../devstack/contrast/plan.ts';
import { type Compared, whatIsWrong } from '../../devstack/contrast/report.ts';
import { judge, type Statement } from '../../devstack/contrast/verdict.ts';
import type { ReceiptLine } from '../../devstack/receivers/index.ts';
import { guarantee } from '../guarantee.ts';

const plan = makePlan({ seed: 1, runs: 1, invoicesPerRun: 2 });
const [first, second] = plan.runs.flatMap(({ invoices }) => invoices) as [
  PlannedInvoice,
  PlannedInvoice,
];

function receipt(invoice: PlannedInvoice, receiptId: string, other = {}): ReceiptLine {
  const { reference, amountMinor, currency, payee } = invoice;
  const done = { reference, receiptId, amountMinor, currency, details: { payee }, ...other };
  return done as unknown as ReceiptLine;
}

const said = (paid: [string, string][], doubts: string[] = []): Statement => ({
  completedBatches: new Set(plan.runs.map(({ batch }) => batch)),
  paid: new Map(paid),
  doubts: new Set(doubts),
});
const both: [string, string][] = [
  [first.reference, 'tr_1'],
  [second.reference, 'tr_2'],
];
const right = [receipt(first, 'tr_1'), receipt(second, 'tr_2')];
const none = {
  ...{ duplicates: 0, lost: 0, silentDoubts: 0, surfacedDoubts: 0 },
  ...{ strayReceipts: 0, wrongReceipts: 0, wrongRuns: 0 },
};

const counts = { runs: 1, completed: 1, invoices: 2, receipts: 2, kills: 1, resets: 1, seconds: 1 };
const base = { ...none, ...counts, duplicatesBy: {}, hasResets: true };
const good: Compared = { ...base, name: 'with-effect' };
const naive: Compared = { ...base, name: 'request-response', duplicates: 5 };
const plain: Compared = { ...base, name: 'plain', duplicates: 3 };
const lines = { added: 7, removed: 8 };
const changes = { workflow: lines, payments: lines, worker: lines };

describe('the verdict on one system', () => {
  it.each([
    ['all is right', right, said(both), {}],
    [
      'no receipt',
      [receipt(first, 'tr_1')],
      said(both),
      { lost: 1, silentDoubts: 1, wrongRuns: 1 },
    ],
    ['a receipt that nobody mentions', right, said([both[0]!]), { silentDoubts: 1 }],
    [
      'another transfer than the bank has',
      right,
      said([[first.reference, 'tr_9'], both[1]!]),
      { silentDoubts: 1 },
    ],
    ['a receipt in doubt', right, said([both[0]!], [second.reference]), { surfacedDoubts: 1 }],
  ])('%s → counted', (_name, receipts, statement, expected) => {
    expect(judge(plan, receipts, statement)).toMatchObject({ ...none, ...expected });
  });

  guarantee.each(
    ['S2-19', 'F-08'],
    [
      [
        'a second receipt of an invoice',
        [...right, receipt(first, 'tr_3')],
        { duplicates: 1, wrongRuns: 1 },
        '1 duplicates',
      ],
      [
        'a receipt of no invoice',
        [...right, receipt({ ...first, reference: 'of-nobody' }, 'tr_3')],
        { strayReceipts: 1 },
        '1 receipts of no invoice',
      ],
      [
        'another amount',
        [receipt(first, 'tr_1', { amountMinor: 1 }), right[1]!],
        { wrongReceipts: 1, wrongRuns: 1 },
        '1 receipts with a wrong amount or payee',
      ],
      [
        'another currency',
        [receipt(first, 'tr_1', { currency: 'USD' }), right[1]!],
        { wrongReceipts: 1, wrongRuns: 1 },
        '1 completed runs without exactly their effects',
      ],
      [
        'another payee',
        [receipt(first, 'tr_1', { details: { payee: 'mallory' } }), right[1]!],
        { wrongReceipts: 1, wrongRuns: 1 },
        '1 receipts with a wrong amount or payee',
      ],
    ],
  )('a bank’s log with %s → counted, and the command fails', (_name, receipts, expected, words) => {
    const verdict = judge(plan, receipts, said(both));
    expect(verdict).toMatchObject({ ...none, ...expected });
    expect(whatIsWrong([plain, { ...good, ...verdict }], changes)).toContain(words);
  });
});

describe('the verdict on the comparison', () => {
  it.each([
    ['every naive system pays twice', [naive, plain, good]],
    ['effect() alone, and it is right', [good]],
  ])('%s → nothing is wrong', (_name, compared) => {
    expect(whatIsWrong(compared, changes)).toBeUndefined();
  });

  it.each([
    ['no system pays twice', [{ ...plain, duplicates: 0 }, good], 'plain PAID NOTHING TWICE'],
    ['one of two pays twice', [{ ...naive, duplicates: 0 }, plain, good], 'prove nothing'],
    ['effect() did not run', [naive, plain], 'with-effect DID NOT RUN'],
    ['effect() loses one', [plain, { ...good, lost: 1 }], '1 lost'],
    ['effect() leaves a silent doubt', [plain, { ...good, silentDoubts: 2 }], '2 silent doubts'],
    ['effect() does not finish', [plain, { ...good, completed: 0 }], '1 unfinished'],
  ] as const)('%s → said, and the command fails', (_name, compared, words) => {
    expect(whatIsWrong(compared, changes)).toContain(words);
  });

  it('too many changed lines → said', () => {
    const many = { ...changes, workflow: { added: 11, removed: 2 } };
    expect(whatIsWrong([plain, good], many)).toContain('MORE THAN 10 LINES');
  });
});

describe('the verdict on the lock', () => {
  const ttl: LockRun = { name: 'with-ttl', receipts: 2, sends: 2, frozenMs: 2_500 };
  const effect: LockRun = { name: 'with-effect', receipts: 1, sends: 1, frozenMs: 9_000 };

  it('two receipts with the lock, one with effect() → nothing is wrong', () => {
    expect(whatIsWrongWithLocks([ttl, effect])).toBeUndefined();
  });
  it.each([
    ['thawed inside the TTL', [{ ...ttl, frozenMs: 1_900 }, effect], 'NOT FROZEN LONGER'],
    ['the lock pays once', [{ ...ttl, receipts: 1 }, effect], 'PAID ONCE'],
    ['effect() pays twice', [ttl, { ...effect, receipts: 2 }], '2 receipts for one task'],
    ['effect() pays never', [ttl, { ...effect, receipts: 0 }], '0 receipts for one task'],
  ] as const)('%s → said, and the command fails', (_name, runs, words) => {
    expect(whatIsWrongWithLocks(runs)).toContain(words);
  });
});

describe('the verdict on the money transfer', () => {
  const once = { banks: 'ignore keys', withdrawals: 1, deposits: 1, result: '' } as const;
  const effect: TransferRun = { ...once, version: 'with-effect' };
  const twice: TransferRun = { ...once, version: 'plain', withdrawals: 2 };

  it('plain withdraws twice, effect() once → nothing is wrong', () => {
    expect(whatIsWrongWithTransfers([twice, effect])).toBeUndefined();
  });
  it.each([
    ['plain withdraws once', [{ ...twice, withdrawals: 1 }, effect], 'WITHDREW NOTHING TWICE'],
    ['effect() withdraws twice', [twice, { ...effect, withdrawals: 2 }], '2 withdrawals, 1 dep'],
    ['effect() loses the deposit', [twice, { ...effect, deposits: 0 }], '1 withdrawals, 0 dep'],
  ] as const)('%s → said, and the command fails', (_name, runs, words) => {
    expect(whatIsWrongWithTransfers(runs)).toContain(words);
  });
});
