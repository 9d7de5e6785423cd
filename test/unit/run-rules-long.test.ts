// The loop's rules for long runs: sessions that wait for their user, compaction, sub-agents.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { apply, withControl } from '../../domain/rules/apply.ts';
import { childLimits } from '../../domain/rules/children.ts';
import { deadlineMs, decide } from '../../domain/rules/decide.ts';
import type { CallState, RunState } from '../../domain/rules/run.ts';
import { wakeWaiting } from '../../domain/rules/start-run.ts';
import { AGENT, newRun, opened, START_MS, withCalls } from './run-world.ts';

describe('a session', () => {
  const answered: RunState = {
    ...opened,
    turn: 3,
    final: { isValid: true },
    session: { sinceTurn: 2, isAwake: false, isEnded: false },
  };
  const said = (heard: number, isEnded = false) =>
    ({
      kind: 'model',
      result: {
        kind: 'answered',
        calls: [],
        fingerprint: '',
        final: { isValid: true },
        usage: newRun().usage,
        seq: 0,
        session: { heard, isEnded },
      },
    }) as const;

  it('answered → waits for its user; spoken to → the model looks; nothing new → waits on', () => {
    expect(decide(answered, START_MS)).toEqual({
      kind: 'await-user',
      untilMs: deadlineMs(answered),
    });
    const awake = apply(answered, { kind: 'heard' });
    expect(decide(awake, START_MS).kind).toBe('call-model');
    const idle = apply(awake, { kind: 'model', result: { kind: 'idle' } });
    expect(decide(idle, START_MS).kind).toBe('await-user');
    expect(idle.turn).toBe(answered.turn);
  });

  it('ended with or after the last answer → completed', () => {
    const after = apply(answered, { kind: 'model', result: { kind: 'session-ended' } });
    expect(decide(after, START_MS)).toMatchObject({ result: { kind: 'completed' } });
    const withIt = apply(apply(answered, { kind: 'heard' }), said(1, true));
    expect(decide(withIt, START_MS)).toMatchObject({ result: { kind: 'completed' } });
  });

  it('new words → turns, denials and bad answers count anew; a steering message to a run changes none', () => {
    const used = { ...answered, denials: 2, invalidAnswers: 1 };
    const next = apply(used, said(1));
    expect(next).toMatchObject({ denials: 0, invalidAnswers: 0, session: { sinceTurn: 3 } });
    const { session: _, ...run } = used;
    expect(apply(run, said(1))).toMatchObject({ denials: 2, invalidAnswers: 1 });
  });

  it('a hundred messages at once → looks again: behind them some may have come unsignalled', () => {
    const many = apply(apply(answered, { kind: 'heard' }), said(100));
    expect(decide(many, START_MS).kind).toBe('call-model');
    const few = apply(apply(answered, { kind: 'heard' }), said(99));
    expect(decide(few, START_MS).kind).toBe('await-user');
  });

  it('after continue-as-new → looks once; past its deadline → ends', () => {
    expect(decide(wakeWaiting(answered), START_MS).kind).toBe('call-model');
    expect(decide(answered, deadlineMs(answered))).toMatchObject({
      result: { kind: 'deadline_passed' },
    });
  });
});

describe('compaction', () => {
  const at = (turn: number, more: Partial<RunState> = {}): RunState => ({
    ...opened,
    turn,
    agent: {
      ...AGENT,
      budget: { ...AGENT.budget, turns: 99 },
      compaction: { turns: 4, tokens: 1_000, keepTurns: 2 },
    },
    ...more,
  });
  it.each([
    [at(4), 'call-model'],
    [at(5), 'compact'],
    [at(4, { contextTokens: 1_000 }), 'compact'],
    [at(3, { contextTokens: 1_000 }), 'call-model'],
    [at(8, { compactedTurn: 5 }), 'call-model'],
    [at(9, { compactedTurn: 5 }), 'compact'],
  ] as const)(
    '%# → due by turns or tokens, never before it can shorten anything',
    (state, kind) => {
      expect(decide(state, START_MS).kind).toBe(kind);
    },
  );

  it('compacted → its cost counts, and it is not due again at once; kept → not due again at once', () => {
    const usage = { inputTokens: 9, outputTokens: 1, cachedInputTokens: 0, costMicroUsd: 7 };
    const done = apply(at(5), { kind: 'compaction', result: { kind: 'compacted', usage } });
    expect(done).toMatchObject({ compactedTurn: 5, usage: { costMicroUsd: 7 } });
    expect(decide(done, START_MS).kind).toBe('call-model');
    const kept = apply(at(5), { kind: 'compaction', result: { kind: 'kept' } });
    expect(decide(kept, START_MS).kind).toBe('call-model');
  });
});

describe('sub-agents', () => {
  const child = (at: string, change: Partial<CallState> = {}): Partial<CallState> => ({
    contract: 'read',
    child: { runKey: `run_${at}`, agent: 'helper' },
    ...change,
  });

  it('neighbours begin together; what stands behind them waits for all', () => {
    const state = withCalls(child('a'), child('b'), {}, child('c'));
    const step = decide(state, START_MS);
    expect(step).toMatchObject({ kind: 'start-children', calls: [{ call: '0' }, { call: '1' }] });
    const started = apply(state, { kind: 'children-started', calls: ['0', '1'] });
    expect(decide(started, START_MS)).toMatchObject({
      kind: 'await-children',
      calls: [{ call: '0' }, { call: '1' }],
    });
    const usage = { ...newRun().usage, costMicroUsd: 5 };
    const one = apply(started, {
      kind: 'children',
      ended: new Map([['0', { end: 'applied', usage }]]),
    });
    expect(decide(one, START_MS)).toMatchObject({ kind: 'await-children', calls: [{ call: '1' }] });
    expect(one.usage.costMicroUsd).toBe(5);
    const both = apply(one, {
      kind: 'children',
      ended: new Map([['1', { end: 'failed', usage }]]),
    });
    expect(decide(both, START_MS)).toMatchObject({ kind: 'run-calls', calls: [{ call: '2' }] });
  });

  it('cancelled or late → they are ended first', () => {
    const waiting = withCalls(child('a', { status: 'awaiting_child' }));
    const cancelled = withControl(waiting, { paused: false, cancelled: true });
    for (const [state, nowMs, kind] of [
      [cancelled, START_MS, 'cancelled'],
      [waiting, deadlineMs(waiting), 'deadline_passed'],
    ] as const) {
      expect(decide(state, nowMs)).toMatchObject({ kind: 'end-children', calls: [{ call: '0' }] });
      const ended = apply(state, { kind: 'children-ended' });
      expect(decide(ended, nowMs)).toMatchObject({ kind: 'finish', result: { kind } });
    }
  });

  it('what they may use → what is left, shared; never deeper or longer than the parent', () => {
    fc.assert(
      fc.property(
        fc.nat(5_000),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(5),
        (used, count, depth) => {
          const state = {
            ...opened,
            usage: { ...opened.usage, costMicroUsd: used },
            limits: { depth, costMicroUsd: 3_000, deadlineAtMs: START_MS + 5 },
          };
          const limits = childLimits(state, count, deadlineMs(state));
          expect(limits.costMicroUsd * count + used).toBeLessThanOrEqual(Math.max(3_000, used));
          expect(limits.depth).toBeLessThan(depth);
          expect(limits.deadlineAtMs).toBeLessThanOrEqual(START_MS + 5);
        },
      ),
    );
  });
});
