// The loop's rules: random walks through whole runs, and each end, wait and control as a literal case.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { apply, withControl } from '../../domain/rules/apply.ts';
import { deadlineMs, decide } from '../../domain/rules/decide.ts';
import type { RunState } from '../../domain/rules/run.ts';
import { wakeWaiting } from '../../domain/rules/start-run.ts';
import { AGENT, newRun, opened, START_MS, walkRun, withCalls } from './run-world.ts';
import { checkProperty } from './support-properties.ts';

const tapes = fc.array(fc.nat({ max: 1_000 }), { maxLength: 150 });

/** One state of every kind that a run can be in. */
const STATES: Readonly<Record<string, RunState>> = {
  new: newRun(),
  opened,
  'with a ready call': withCalls({}),
  'with reads': withCalls({ contract: 'read' }, { contract: 'read' }),
  'awaiting an approval': withCalls({ status: 'awaiting_approval' }),
  'in doubt': withCalls({ status: 'in_doubt' }),
  'with all calls done': withCalls({ status: 'done' }),
  'with a valid answer': { ...opened, final: { isValid: true } },
  'with a refusal': { ...opened, final: { isValid: false, problem: 'no', why: 'refused' } },
  'waiting for a model': { ...opened, modelWait: { untilMs: START_MS + 90_000, reason: 'x' } },
  'with an invalid answer': { ...opened, final: { isValid: false }, invalidAnswers: 1 },
  'out of turns': { ...opened, turn: 7 },
};

describe('random walks through a run', () => {
  it('any model, any outcome, any control → an end, each call once, in order, nothing behind a doubt', () => {
    checkProperty(
      fc.property(tapes, (tape) => {
        const { end, ran, states } = walkRun(tape);
        expect(new Set(ran).size).toBe(ran.length);
        expect(end.turns).toBeLessThanOrEqual(AGENT.budget.turns);
        expect(Buffer.byteLength(JSON.stringify(states.at(-1)))).toBeLessThan(65_536);
      }),
      3_000,
    );
  });

  it('the walks → see every kind of step and most ends: they are not vacuous', () => {
    const steps = new Set<string>();
    const ends = new Set<string>();
    for (let seed = 1; seed <= 400; seed += 1) {
      const tape = fc.sample(fc.array(fc.nat({ max: 1_000 }), { minLength: 120, maxLength: 120 }), {
        seed,
        numRuns: 1,
      })[0];
      const walk = walkRun(tape ?? []);
      walk.steps.forEach(({ kind }) => steps.add(kind));
      ends.add(walk.end.kind);
    }
    expect([...steps].sort()).toEqual([
      'await-approval',
      'await-model',
      'await-resume',
      'await-settlement',
      'call-model',
      'finish',
      'open',
      'run-calls',
    ]);
    const most = ['completed', 'cancelled', 'out_of_turns', 'blocked', 'over_budget', 'refused'];
    expect([...ends]).toEqual(expect.arrayContaining(most));
  });

  it('a state that went through JSON, as at continue-as-new → the same next step', () => {
    checkProperty(
      fc.property(tapes, (tape) => {
        const { states } = walkRun(tape);
        for (const state of states) {
          const carried = JSON.parse(JSON.stringify(state)) as RunState;
          expect(JSON.stringify(decide(carried, START_MS))).toBe(
            JSON.stringify(decide(state, START_MS)),
          );
        }
      }),
      300,
    );
  });
});

describe('control', () => {
  it.each(Object.keys(STATES))('a run %s, cancelled → it ends as cancelled at once', (name) => {
    const state = withControl(STATES[name] ?? opened, { paused: true, cancelled: true });
    expect(decide(state, START_MS)).toMatchObject({
      kind: 'finish',
      result: { kind: 'cancelled' },
    });
  });

  it.each(Object.keys(STATES))(
    'a run %s, paused → it waits, and goes on where it stood',
    (name) => {
      const state = STATES[name] ?? opened;
      const paused = withControl(state, { paused: true, cancelled: false });
      expect(decide(paused, START_MS)).toEqual({ kind: 'await-resume' });
      const resumed = withControl(paused, { paused: false, cancelled: false });
      expect(decide(resumed, START_MS)).toEqual(decide(state, START_MS));
    },
  );

  it('unchanged flags → the very same state', () => {
    expect(withControl(opened, { paused: false, cancelled: false })).toBe(opened);
  });

  it('an activity that found the run paused → paused, the call untouched', () => {
    const state = apply(withCalls({}), {
      kind: 'calls',
      results: new Map([['0', { kind: 'paused' }]]),
    });
    expect(state.control.paused).toBe(true);
    expect(state.calls[0]?.status).toBe('ready');
  });

  it.each(['paused', 'cancelled'] as const)(
    'a model step that found the run %s → the flag, no turn',
    (kind) => {
      const state = apply(opened, { kind: 'model', result: { kind } });
      expect(state.control[kind]).toBe(true);
      expect(state.turn).toBe(1);
    },
  );
});

describe('the next step', () => {
  const cases: readonly (readonly [string, RunState, unknown])[] = [
    ['a new run → open', newRun(), { kind: 'open' }],
    ['an open run → the model', opened, { kind: 'call-model', turn: 1 }],
    [
      'two effects → the first alone',
      withCalls({}, {}),
      { kind: 'run-calls', calls: [{ call: '0' }] },
    ],
    [
      'effect, read, read → both reads first',
      withCalls({}, { contract: 'read' }, { contract: 'read' }),
      { kind: 'run-calls', calls: [{ call: '1' }, { call: '2' }] },
    ],
    [
      'three effects, the first two parallel → those together',
      withCalls({ parallel: true }, { parallel: true }, {}),
      { kind: 'run-calls', calls: [{ call: '0' }, { call: '1' }] },
    ],
    [
      'parallel, then one that awaits an approval → the first alone',
      withCalls({ parallel: true }, { parallel: true, status: 'awaiting_approval' }),
      { kind: 'run-calls', calls: [{ call: '0' }] },
    ],
    [
      'an approval in front of a ready effect → the approval is awaited',
      withCalls(
        { status: 'awaiting_approval', approval: { id: 'ap', expiresAtMs: START_MS + 5 } },
        {},
      ),
      { kind: 'await-approval', call: { call: '0' }, untilMs: START_MS + 5 },
    ],
    [
      'an approval that outlives the deadline → awaited until the deadline',
      withCalls({ status: 'awaiting_approval', approval: { id: 'ap', expiresAtMs: Infinity } }),
      { kind: 'await-approval', untilMs: START_MS + AGENT.budget.deadlineMs },
    ],
    [
      'a doubt → its settlement is awaited',
      withCalls({ status: 'done' }, { status: 'in_doubt' }),
      { kind: 'await-settlement', call: { call: '1' } },
    ],
  ];
  it.each(cases)('%s', (_title, state, expected) => {
    expect(decide(state, START_MS)).toMatchObject(expected as object);
  });

  it('an approval that nobody decided until the deadline → the run ends; it does not spin', () => {
    const state = withCalls({
      status: 'awaiting_approval',
      approval: { id: 'ap', expiresAtMs: Infinity },
    });
    expect(decide(state, deadlineMs(state))).toMatchObject({
      kind: 'finish',
      result: { kind: 'deadline_passed', reason: 'the deadline has passed' },
    });
  });

  it('rules of another build → an invariant violation that names them', () => {
    const state = { ...opened, rules: 2 } as unknown as RunState;
    expect(() => decide(state, START_MS)).toThrow('rules 2 are not known to this build');
  });
});

describe('the ends of a run', () => {
  const { budget } = AGENT;
  const ends: readonly (readonly [string, string, RunState, number])[] = [
    ['completed', 'completed', { ...opened, final: { isValid: true } }, START_MS],
    [
      'three invalid answers',
      'invalid_output',
      { ...opened, invalidAnswers: 3, final: { isValid: false, problem: 'not JSON' } },
      START_MS,
    ],
    ['the deadline', 'deadline_passed', opened, START_MS + budget.deadlineMs],
    ['five denials', 'blocked', { ...opened, denials: 5 }, START_MS],
    [
      'the same call four times',
      'stalled',
      { ...opened, repeated: { fingerprint: 'f', count: 4 } },
      START_MS,
    ],
    ['all turns used', 'out_of_turns', { ...opened, turn: budget.turns + 1 }, START_MS],
    [
      'all money used',
      'over_budget',
      { ...opened, usage: { ...opened.usage, costMicroUsd: budget.costMicroUsd } },
      START_MS,
    ],
  ];
  it.each(ends)('%s → %s', (_name, kind, state, nowMs) => {
    const step = decide(state, nowMs);
    expect(step).toMatchObject({ kind: 'finish', result: { v: 1, kind, turns: state.turn - 1 } });
    expect(step.kind === 'finish' && (kind === 'completed' || Boolean(step.result.reason))).toBe(
      true,
    );
  });

  const almost: readonly (readonly [string, RunState, number])[] = [
    ['a moment before the deadline', opened, START_MS + budget.deadlineMs - 1],
    ['the last turn', { ...opened, turn: budget.turns }, START_MS],
    ['four denials', { ...opened, denials: 4 }, START_MS],
    ['two invalid answers', { ...opened, invalidAnswers: 2 }, START_MS],
  ];
  it.each(almost)('%s → goes on', (_name, state, nowMs) => {
    expect(decide(state, nowMs).kind).toBe('call-model');
  });

  it('a valid answer with the last turn and the last cent → completed, not out of anything', () => {
    const usage = { ...opened.usage, costMicroUsd: budget.costMicroUsd };
    const state: RunState = { ...opened, turn: 7, usage, final: { isValid: true } };
    expect(decide(state, START_MS)).toMatchObject({ result: { kind: 'completed' } });
  });
});

describe('what an outcome changes', () => {
  it('an effect in doubt → the calls behind it are skipped, those before it stay', () => {
    const state = withCalls({ status: 'done' }, {}, {}, { status: 'awaiting_approval' });
    const results = new Map([['1', { kind: 'in_doubt', reason: 'reset', seq: 0 } as const]]);
    const { calls } = apply(state, { kind: 'calls', results });
    expect(calls.map(({ status }) => status)).toEqual(['done', 'in_doubt', 'done', 'done']);
  });

  it('a wake for a call that has ended → nothing', () => {
    const state = withCalls({ status: 'done' });
    expect(apply(state, { kind: 'woken', call: '0' })).toEqual(state);
  });

  it('continue-as-new → every waiting call looks at its row once, an ended one does not', () => {
    const state = withCalls(
      { status: 'done' },
      { status: 'in_doubt' },
      { status: 'awaiting_approval' },
    );
    expect(wakeWaiting(state).calls.map(({ status }) => status)).toEqual([
      'done',
      'ready',
      'ready',
    ]);
  });

  it('the same answer again → counted; an answer without a call in between → counted anew', () => {
    const answer = (fingerprint: string, calls: number) =>
      ({
        kind: 'model',
        result: {
          kind: 'answered',
          calls: Array.from({ length: calls }, () => ({
            tool: 'pay',
            verdict: 'forbid' as const,
            rule: 'r',
            summary: 's',
          })),
          fingerprint,
          usage: opened.usage,
          seq: 0,
        },
      }) as const;
    const counts = [answer('a', 1), answer('a', 1), answer('a', 0), answer('a', 1), answer('b', 1)];
    let state = opened;
    const seen = counts.map((outcome) => (state = apply(state, outcome)).repeated.count);
    expect(seen).toEqual([1, 2, 1, 2, 1]);
  });

  it('a call that policy forbids, one that is invalid, and one that no tool has → done, never run', () => {
    const proposed = (verdict: 'forbid' | 'invalid', tool: string) => ({
      tool,
      verdict,
      rule: 'r',
      summary: 's',
    });
    const calls = [
      proposed('forbid', 'pay'),
      proposed('invalid', 'pay'),
      proposed('invalid', 'constructor'),
    ];
    const state = apply(opened, {
      kind: 'model',
      result: { kind: 'answered', calls, fingerprint: 'f', usage: opened.usage, seq: 0 },
    });
    expect(state.calls.map(({ status, contract }) => [status, contract])).toEqual([
      ['done', 'keyed'],
      ['done', 'keyed'],
      ['done', 'once'],
    ]);
    expect(state.denials).toBe(1);
    expect(decide(state, START_MS).kind).toBe('call-model');
  });

  it('a permitted call of a tool that the agent does not have → an invariant violation that names it', () => {
    const calls = [{ tool: 'constructor', verdict: 'permit', rule: 'r', summary: 's' } as const];
    const result = {
      kind: 'answered',
      calls,
      fingerprint: 'f',
      usage: opened.usage,
      seq: 0,
    } as const;
    expect(() => apply(opened, { kind: 'model', result })).toThrow(
      'an allowed call names a pinned tool (constructor)',
    );
  });
});
