// Answers that are not ones to act on, by the rules: asked again within a limit, and never an end called completed.
import { describe, expect, it } from '@jest/globals';
import { apply } from '../../domain/rules/apply.ts';
import { decide } from '../../domain/rules/decide.ts';
import type { ModelStepResult, RunState, UnusedAnswer } from '../../domain/rules/run.ts';
import { guarantee } from '../guarantee.ts';
import { opened, START_MS } from './run-world.ts';

const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0, costMicroUsd: 7 };
const unused = (why: UnusedAnswer): ModelStepResult => ({
  kind: 'answered',
  calls: [],
  fingerprint: 'x',
  final: { isValid: false, problem: `it is ${why}`, why },
  usage,
  seq: 0,
});
const used: ModelStepResult = {
  kind: 'answered',
  calls: [{ tool: 'look', verdict: 'invalid', rule: 'r', summary: 'look' }],
  fingerprint: 'y',
  usage,
  seq: 0,
};
const after = (...results: readonly ModelStepResult[]): RunState =>
  results.reduce<RunState>((state, result) => apply(state, { kind: 'model', result }), opened);
const session = { sinceTurn: 1, isAwake: false, isEnded: false };

describe('an answer that is not one to act on', () => {
  guarantee(
    'whole-or-nothing',
    'cut, paused or unusable, three in a row → asked twice more, then invalid_output that names Model.AnswerInvalid; each is a turn that is paid',
    () => {
      for (const why of ['cut', 'paused', 'unusable'] as const) {
        expect(decide(after(unused(why)), START_MS)).toEqual({ kind: 'call-model', turn: 2 });
        expect(decide(after(unused(why), unused('cut')), START_MS).kind).toBe('call-model');
        expect(decide(after(unused('cut'), unused('cut'), unused(why)), START_MS)).toMatchObject({
          kind: 'finish',
          result: {
            kind: 'invalid_output',
            reason: `Model.AnswerInvalid: 3 answers in a row were not used; the last one: it is ${why}`,
            turns: 3,
            usage: { costMicroUsd: 21 },
          },
        });
      }
    },
  );

  it('one that can be used in between → counted anew', () => {
    const state = after(unused('cut'), unused('cut'), used, unused('cut'), unused('cut'));
    expect(state.unusedAnswers).toBe(2);
    expect(decide(state, START_MS).kind).toBe('call-model');
    expect(state.invalidAnswers).toBe(0);
  });

  guarantee('whole-or-nothing', 'a refusal → the run ends as refused, with the words', () => {
    expect(decide(after(unused('refused')), START_MS)).toMatchObject({
      kind: 'finish',
      result: { kind: 'refused', reason: 'it is refused', turns: 1 },
    });
  });

  it('a refusal in a session → its user has the next word; ended, it is refused', () => {
    const state = { ...after(unused('refused')), session };
    expect(decide(state, START_MS).kind).toBe('await-user');
    const awake = { ...state, session: { ...session, isAwake: true } };
    expect(decide(awake, START_MS).kind).toBe('call-model');
    const ended = { ...state, session: { ...session, isEnded: true } };
    expect(decide(ended, START_MS)).toMatchObject({ result: { kind: 'refused' } });
  });
});

describe('a wait that a provider asks for', () => {
  const waiting = (untilMs: number): RunState =>
    after({ kind: 'waiting', untilMs, reason: 'anthropic limits the rate' });

  it('until later → waited for, not as long as the deadline allows no more; over or ended → the model', () => {
    const untilMs = START_MS + 600_000;
    const step = { kind: 'await-model', untilMs, reason: 'anthropic limits the rate' };
    expect(decide(waiting(untilMs), START_MS)).toEqual(step);
    expect(decide(waiting(untilMs), untilMs).kind).toBe('call-model');
    const ended = apply(waiting(untilMs), { kind: 'waited' });
    expect(decide(ended, START_MS).kind).toBe('call-model');
    expect(waiting(untilMs).turn).toBe(opened.turn);
    const beyond = decide(waiting(Number.MAX_SAFE_INTEGER), START_MS);
    expect(beyond).toMatchObject({ kind: 'await-model' });
    expect(beyond.kind === 'await-model' && beyond.untilMs).toBeLessThan(
      START_MS + 366 * 86_400_000,
    );
  });
});
