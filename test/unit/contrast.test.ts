// The comparison's own parts: a plan that its seed decides, lines counted as diff counts, and its command line.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { whyNoAiSdk } from '../../devstack/contrast/ai-sdk.ts';
import { countChangedLines } from '../../devstack/contrast/changed-lines.ts';
import { parseOptions, UsageError } from '../../devstack/contrast/options.ts';
import { makePlan, toInput } from '../../devstack/contrast/plan.ts';
import { findChanges, WORKFLOW_LINES_MAX } from '../../devstack/contrast/report.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

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

  it('many runs → one kill for ten of them', () => {
    const { runs } = makePlan({ seed: 1, runs: 200, invoicesPerRun: 5 });
    const faults = runs.flatMap(({ invoices }) => invoices.map(({ fault }) => fault));
    expect(faults.filter((fault) => fault === 'killed-after-commit')).toHaveLength(20);
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

  it.each(['contrast', 'money-transfer'])('%s: the two workflows → ten lines at most', (name) => {
    const { workflow } = findChanges(join(EXAMPLES, name));
    expect(Math.max(workflow.added, workflow.removed)).toBeLessThanOrEqual(WORKFLOW_LINES_MAX);
    expect(workflow.added).toBeGreaterThan(0);
  });

  it('both examples → say the same to the banks: the plain worker declares no less', () => {
    const plain = readFileSync(join(EXAMPLES, 'contrast/plain/activities.ts'), 'utf8');
    expect(plain).toContain("'idempotency-key'");
    expect(plain).toContain('workflowExecution?.runId');
    expect(plain).toContain('activityId');
  });

  it('the AI SDK agent → pays by the plain worker’s activities, line for line', () => {
    const read = (folder: string): string =>
      readFileSync(join(EXAMPLES, `contrast/${folder}/activities.ts`), 'utf8');
    expect(countChangedLines(read('plain'), read('ai-sdk'))).toEqual({ added: 0, removed: 0 });
  });
});

describe('the command line', () => {
  it('nothing → the comparison of all systems', () => {
    expect(parseOptions([])).toMatchObject({
      scenario: 'compare',
      seed: 1,
      runs: 12,
      systems: ['request-response', 'plain', 'ai-sdk', 'with-effect'],
    });
  });

  it('systems in any order → those, in the order of the table', () => {
    const { systems } = parseOptions(['--systems', 'with-effect, plain']);
    expect(systems).toEqual(['plain', 'with-effect']);
  });

  it.each([
    ['an unknown system', ['--systems', 'plain,pawn'], 'there is no "pawn". There are: request-'],
    ['no whole number', ['--runs', '0'], '--runs 0: give a whole number from 1'],
    ['an unknown scenario', ['locks'], '"locks": give one of compare, lock, money-transfer'],
    ['two scenarios', ['lock', 'compare'], '"lock compare": give one of'],
    ['an unknown flag', ['--sead', '1'], "Unknown option '--sead'"],
    ['a flag that changes nothing', ['lock', '--seed', '2'], '--seed is for compare'],
  ])('%s → refused with what to do', (_name, argv, words) => {
    expect(() => parseOptions(argv)).toThrow(UsageError);
    expect(() => parseOptions(argv)).toThrow(words);
  });
});

describe('the AI SDK plugin', () => {
  it('its packages are not there → the command that installs them', () => {
    const command = whyNoAiSdk(import.meta.dirname);
    expect(command).toMatch(
      /^npm install --no-save --prefix examples\/contrast\/ai-sdk @temporalio/,
    );
  });
});
