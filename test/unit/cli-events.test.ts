// How `watch` tells what has changed between two looks.
import { describe, expect, it } from '@jest/globals';
import { createPaint } from '../../client/cli/cli-io.ts';
import { formatEvent } from '../../client/cli/format/event-format.ts';
import { formatWake } from '../../client/cli/format/wake-format.ts';
import { diffSnapshots, type RunEvent, type RunSnapshot } from '../../client/run-events.ts';
import type { ApprovalView } from '../../client/approval-views.ts';
import type { EffectView } from '../../client/effect-views.ts';
import type { CallView, RunView, TurnView } from '../../client/run-views.ts';

const NOW = new Date('2026-03-01T03:00:00Z');
const io = { paint: createPaint(false), columns: undefined };

// Only what events look at.
const runOf = (more: Partial<RunView> = {}): RunView =>
  ({
    runKey: 'run_1',
    status: 'running',
    turn: 1,
    isFinished: false,
    result: null,
    stuckCause: null,
    ...more,
  }) as RunView;
const turnOf = (turn: number): TurnView =>
  ({
    turn,
    generation: 0,
    modelServed: 'm',
    inputTokens: 10,
    outputTokens: 2,
    isPriced: true,
    costMicroUsd: 5,
    durationMs: 900,
  }) as TurnView;
const callOf = (more: Partial<CallView> = {}): CallView =>
  ({
    turn: 1,
    generation: 0,
    call: '0',
    tool: 'pay',
    verdict: 'approve',
    rule: 'limit',
    message: null,
    summary: 'pay A',
    effect: 'ef_1',
    ended: null,
    ...more,
  }) as CallView;
const effectOf = (more: Partial<EffectView> = {}): EffectView =>
  ({
    effect: 'ef_1',
    turn: 1,
    status: 'intended',
    sends: 0,
    isPending: false,
    hasConflict: false,
    summary: 'pay A',
    code: null,
    reason: null,
    ...more,
  }) as EffectView;
const approvalOf = (more: Partial<ApprovalView> = {}): ApprovalView =>
  ({
    id: 'ap_1',
    turn: 1,
    status: 'pending',
    summary: 'pay A',
    amount: { minor: 2_000, currency: 'EUR' },
    requester: 'dev',
    expiresAt: new Date('2026-03-01T04:00:00Z'),
    decision: null,
    ...more,
  }) as ApprovalView;
const snapshotOf = (more: Partial<RunSnapshot> = {}): RunSnapshot => ({
  run: runOf(),
  output: null,
  turns: [],
  calls: [],
  effects: [],
  approvals: [],
  messages: [],
  ...more,
});
const kinds = (events: readonly RunEvent[]): string[] => events.map(({ kind }) => kind);

describe('events between two looks', () => {
  it('first look → all that has happened, turn by turn', () => {
    const events = diffSnapshots(
      undefined,
      snapshotOf({
        turns: [turnOf(1), turnOf(2)],
        calls: [
          callOf({ ended: 'applied' }),
          callOf({ turn: 2, effect: null, ended: 'forbidden' }),
        ],
        effects: [effectOf({ status: 'applied', sends: 1 })],
        approvals: [approvalOf()],
      }),
    );
    expect(kinds(events)).toEqual([
      ...['status', 'turn', 'call', 'approval', 'effect'],
      ...['turn', 'call', 'call-ended'],
    ]);
  });

  it('nothing changed → no events', () => {
    const same = snapshotOf({
      turns: [turnOf(1)],
      calls: [callOf()],
      effects: [effectOf()],
      approvals: [approvalOf()],
    });
    expect(diffSnapshots(same, same)).toEqual([]);
  });

  it('an effect is resent → news, although its status is the same', () => {
    const before = snapshotOf({ effects: [effectOf({ status: 'dispatched', sends: 1 })] });
    const after = snapshotOf({ effects: [effectOf({ status: 'dispatched', sends: 2 })] });
    expect(kinds(diffSnapshots(before, after))).toEqual(['effect']);
  });

  it('an effect that is only intended → no news', () => {
    expect(kinds(diffSnapshots(snapshotOf(), snapshotOf({ effects: [effectOf()] })))).toEqual([]);
  });

  it('a decision → who and why; an expiry → truthfully expired', () => {
    const decision = {
      id: 'de_1',
      decision: 'deny' as const,
      approver: 'anna',
      reason: 'no',
      decidedAt: NOW,
    };
    const before = snapshotOf({ approvals: [approvalOf()] });
    const denied = snapshotOf({ approvals: [approvalOf({ status: 'denied', decision })] });
    expect(diffSnapshots(before, denied)).toEqual([
      expect.objectContaining({
        kind: 'decision',
        decision: 'deny',
        approver: 'anna',
        reason: 'no',
      }),
    ]);
    const expired = snapshotOf({ approvals: [approvalOf({ status: 'expired' })] });
    expect(diffSnapshots(before, expired)).toEqual([
      expect.objectContaining({ kind: 'decision', decision: 'expired', approver: null }),
    ]);
  });

  it('the end → finished once, with the output, and no status before it', () => {
    const run = runOf({ isFinished: true, status: 'completed' });
    const end = snapshotOf({ run, output: { paid: 1 } });
    expect(diffSnapshots(snapshotOf(), end)).toEqual([
      { kind: 'finished', runKey: 'run_1', result: null, output: { paid: 1 } },
    ]);
    expect(diffSnapshots(end, end)).toEqual([]);
  });
});

describe('lines of a watch', () => {
  const lineOf = (event: RunEvent): string => formatEvent(io, event, NOW);

  it('an approval that waits → the command, and who may not use it', () => {
    const text = lineOf({ kind: 'approval', approval: approvalOf() });
    expect(text).toContain('pay A · EUR 20.00 · expires in 1 h');
    expect(text).toContain('pawl approve ap_1 --as NAME    (anyone but dev)');
  });

  it('a doubt → why and settle are named', () => {
    const effect = effectOf({ status: 'in_doubt', sends: 1, reason: 'no answer' });
    expect(lineOf({ kind: 'effect', effect })).toMatch(
      /in doubt\s+pay A {2}ef_1 {2}\(no answer\)\n.*pawl why ef_1/,
    );
  });

  it('stuck → the cause and the way on', () => {
    const text = lineOf({
      kind: 'status',
      runKey: 'run_1',
      status: 'stuck',
      turn: 1,
      stuckCause: { message: 'boom' },
    });
    expect(text).toMatch(/stuck\n.*boom\n.*pawl resume run_1/);
  });

  it('hostile summary → cannot move the cursor', () => {
    const call = callOf({ summary: 'pay\u001b[2J\rEUR 1' });
    expect(lineOf({ kind: 'call', ...call })).toContain('pay\\u{1b}[2J ⏎ EUR 1');
  });

  it('a workflow that was not woken → said plainly', () => {
    const wake = {
      kind: 'not-delivered',
      reason: 'temporal-unreachable',
      message: 'Temporal at x is down.',
    } as const;
    expect(formatWake(io, wake)).toBe(
      'Written, and it counts; but nobody was woken: Temporal at x is down. The reconciler wakes the run later.\n',
    );
    expect(formatWake(io, { kind: 'delivered' })).toBe('');
  });
});
