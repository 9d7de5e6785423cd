// The comparison's own parts: a plan that its seed decides, lines counted as diff counts, and a verdict with teeth.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { countChangedLines } from '../../devstack/contrast/changed-lines.ts';
import { makePlan, toInput } from '../../devstack/contrast/plan.ts';
import {
  type Compared,
  findChanges,
  whatIsWrong,
  WORKFLOW_LINES_MAX,
} from '../../devstack/contrast/report.ts';
import { judge, type Statement } from '../../devstack/contrast/verdict.ts';
import type { ReceiptLine } from '../../devstack/receivers/index.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples/contrast');

describe('the plan', () => {
  it('the same seed twice → the same plan; another seed → another one', () => {
    const options = { seed: 5, runs: 12, invoicesPerRun: 5 };
    expect(makePlan(options)).toEqual(makePlan(options));
    expect(makePlan({ ...options, seed: 6 })).not.toEqual(makePlan(options));
  });

  it('any seed → kills at both banks, lost answers, resets, and references that are unique', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const { runs } = makePlan({ seed, runs: 12, invoicesPerRun: 5 });
      const invoices = runs.flatMap((run) => run.invoices);
      const killed = invoices.filter(({ fault }) => fault === 'killed-after-commit');
      expect(killed.map(({ bank }) => bank).sort()).toEqual(['north', 'north', 'south', 'south']);
      expect(invoices.filter(({ fault }) => fault === 'answer-never-comes')).toHaveLength(12);
      expect(runs.filter(({ resetAfter }) => resetAfter !== undefined)).toHaveLength(4);
      expect(new Set(invoices.map(({ reference }) => reference)).size).toBe(60);
    }
  });

  it('what the workflow is given → says nothing of the faults', () => {
    const [run] = makePlan({ seed: 1, runs: 1, invoicesPerRun: 2 }).runs;
    if (!run) throw new Error('a plan has its runs');
    expect(JSON.stringify(toInput(run))).not.toContain('fault');
  });
});

describe('changed lines', () => {
  it.each([
    ['equal files', 'a\nb\n', 'a\nb\n', { added: 0, removed: 0 }],
    ['one line changed', 'a\nb\nc\n', 'a\nx\nc\n', { added: 1, removed: 1 }],
    ['a line moved', 'a\nb\nc\n', 'b\nc\na\n', { added: 1, removed: 1 }],
    ['comments and empty lines', '// a\n\nb\n', '// x\nb\n\n/** c */\n', { added: 0, removed: 0 }],
    ['everything new', '', 'a\nb\n', { added: 2, removed: 0 }],
  ])('%s → counted', (_name, before, after, expected) => {
    expect(countChangedLines(before, after)).toEqual(expected);
  });

  it('the two workflows → differ by ten lines at most', () => {
    const { workflow } = findChanges(EXAMPLES);
    expect(Math.max(workflow.added, workflow.removed)).toBeLessThanOrEqual(WORKFLOW_LINES_MAX);
    expect(workflow.added).toBeGreaterThan(0);
  });

  it('both examples → say the same to the banks: the plain worker declares no less', () => {
    const plain = readFileSync(join(EXAMPLES, 'plain/activities.ts'), 'utf8');
    expect(plain).toContain("'idempotency-key'");
    expect(plain).toContain('workflowExecution?.runId');
    expect(plain).toContain('activityId');
  });
});

describe('the verdict', () => {
  const plan = makePlan({ seed: 1, runs: 1, invoicesPerRun: 2 });
  const [first = '', second = ''] = plan.runs.flatMap(({ invoices }) =>
    invoices.map(({ reference }) => reference),
  );
  const receipt = (reference: string, receiptId: string): ReceiptLine =>
    ({ reference, receiptId }) as ReceiptLine;
  const said = (paid: [string, string][], doubts: string[] = []): Statement => ({
    completedBatches: new Set(plan.runs.map(({ batch }) => batch)),
    paid: new Map(paid),
    doubts: new Set(doubts),
  });
  const both: [string, string][] = [
    [first, 'tr_1'],
    [second, 'tr_2'],
  ];
  const right = [receipt(first, 'tr_1'), receipt(second, 'tr_2')];

  it.each([
    ['all is right', right, said(both), {}],
    ['a second receipt', [...right, receipt(first, 'tr_3')], said(both), { duplicates: 1 }],
    ['no receipt', [receipt(first, 'tr_1')], said(both), { lost: 1, silentDoubts: 1 }],
    ['a receipt that nobody mentions', right, said([[first, 'tr_1']]), { silentDoubts: 1 }],
    [
      'another transfer than the bank has',
      right,
      said([
        [first, 'tr_9'],
        [second, 'tr_2'],
      ]),
      { silentDoubts: 1 },
    ],
    ['a receipt in doubt', right, said([[first, 'tr_1']], [second]), { surfacedDoubts: 1 }],
  ])('%s → counted', (_name, receipts, statement, expected) => {
    const none = { duplicates: 0, lost: 0, silentDoubts: 0, surfacedDoubts: 0 };
    expect(judge(plan, receipts, statement)).toMatchObject({ ...none, ...expected });
  });

  const counts = { runs: 1, completed: 1, invoices: 2, receipts: 2, duplicates: 0, lost: 0 };
  const good: Compared = {
    ...{ name: 'x', ...counts, silentDoubts: 0, surfacedDoubts: 0, duplicatesBy: {} },
    ...{ kills: 1, resets: 1, seconds: 1 },
  };
  const plain: Compared = { ...good, duplicates: 3 };
  const lines = { added: 7, removed: 8 };
  const changes = { workflow: lines, payments: lines, worker: lines };

  it('the plain worker pays twice and effect() does not → nothing is wrong', () => {
    expect(whatIsWrong([plain, good], changes)).toBeUndefined();
  });
  it.each([
    ['the plain worker pays nothing twice', [good, good], 'prove nothing'],
    ['effect() pays twice', [plain, { ...good, duplicates: 1 }], '1 duplicates'],
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
