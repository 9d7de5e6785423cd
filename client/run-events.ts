// What changed in a run between two looks at its rows: pure, so that `watch` can be tested without a server.
import type { RunResult } from '../domain/rules/run.ts';
import type { Json } from '../domain/rules/json.ts';
import type { ApprovalView } from './approval-views.ts';
import type { EffectView } from './effect-views.ts';
import type { CallView, MessageView, RunStatus, RunView, TurnView } from './run-views.ts';

/** One look at everything that changes. */
export interface RunSnapshot {
  readonly run: RunView;
  /** Only read once the run has finished. */
  readonly output: Json;
  readonly turns: readonly TurnView[];
  readonly calls: readonly CallView[];
  readonly effects: readonly EffectView[];
  readonly approvals: readonly ApprovalView[];
  readonly messages: readonly MessageView[];
}

/** What `watch` yields, in the order in which a reader wants it. */
export type RunEvent =
  | {
      readonly kind: 'status';
      readonly runKey: string;
      readonly status: RunStatus;
      readonly turn: number;
      readonly stuckCause: Json;
    }
  | ({ readonly kind: 'turn' } & TurnView)
  | ({ readonly kind: 'call' } & CallView)
  | { readonly kind: 'approval'; readonly approval: ApprovalView }
  | {
      readonly kind: 'decision';
      readonly approvalId: string;
      readonly decision: 'approve' | 'deny' | 'expired' | 'obsolete';
      readonly approver: string | null;
      readonly reason: string | null;
      readonly summary: string;
    }
  | { readonly kind: 'effect'; readonly effect: EffectView }
  | ({ readonly kind: 'call-ended' } & CallView)
  | ({ readonly kind: 'steered' } & MessageView)
  /** The database does not answer; the watch goes on trying. */
  | { readonly kind: 'unreachable'; readonly message: string }
  | {
      readonly kind: 'finished';
      readonly runKey: string;
      readonly result: RunResult | null;
      readonly output: Json;
    };

/** The events between two looks; `before` is undefined at the first. Turn by turn, each in the order of its life. */
export function diffSnapshots(before: RunSnapshot | undefined, after: RunSnapshot): RunEvent[] {
  const ofTurns = [
    ...addedTurns(before, after),
    ...diffCalls(before, after),
    ...diffApprovals(before, after),
    ...diffEffects(before, after),
    ...endedCalls(before, after),
  ];
  // The sort is stable: within a turn the order above stays.
  return [
    ...diffStatus(before, after),
    ...diffMessages(before, after),
    ...ofTurns.sort((a, b) => a.turn - b.turn).map(({ event }) => event),
    ...diffFinish(before, after),
  ];
}

interface TurnEvent {
  readonly turn: number;
  readonly event: RunEvent;
}

function diffStatus(before: RunSnapshot | undefined, { run }: RunSnapshot): RunEvent[] {
  if (run.isFinished || before?.run.status === run.status) return [];
  const { runKey, status, turn, stuckCause } = run;
  return [{ kind: 'status', runKey, status, turn, stuckCause }];
}

function diffMessages(before: RunSnapshot | undefined, after: RunSnapshot): RunEvent[] {
  const known = new Map(before?.messages.map((message) => [message.id, message.consumedTurn]));
  return after.messages
    .filter(({ id, consumedTurn }) => !known.has(id) || known.get(id) !== consumedTurn)
    .map((message) => ({ kind: 'steered', ...message }));
}

function addedTurns(before: RunSnapshot | undefined, after: RunSnapshot): TurnEvent[] {
  const known = new Set(before?.turns.map(turnId));
  return after.turns
    .filter((one) => !known.has(turnId(one)))
    .map((one) => ({ turn: one.turn, event: { kind: 'turn', ...one } }));
}

function diffCalls(before: RunSnapshot | undefined, after: RunSnapshot): TurnEvent[] {
  const known = new Set(before?.calls.map(callId));
  return after.calls
    .filter((one) => !known.has(callId(one)))
    .map((one) => ({ turn: one.turn, event: { kind: 'call', ...one } }));
}

/** Reads and refusals; what becomes of an effect is told by the effect. */
function endedCalls(before: RunSnapshot | undefined, after: RunSnapshot): TurnEvent[] {
  const ended = new Set(before?.calls.filter((one) => one.ended !== null).map(callId));
  return after.calls
    .filter((one) => one.effect === null && one.ended !== null && !ended.has(callId(one)))
    .map((one) => ({ turn: one.turn, event: { kind: 'call-ended', ...one } }));
}

function diffApprovals(before: RunSnapshot | undefined, after: RunSnapshot): TurnEvent[] {
  const known = new Map(before?.approvals.map(({ id, status }) => [id, status]));
  return after.approvals.flatMap((approval): TurnEvent[] => {
    const { id, status, turn } = approval;
    const asked: TurnEvent[] = known.has(id)
      ? []
      : [{ turn, event: { kind: 'approval', approval } }];
    if (status === 'pending' || status === known.get(id)) return asked;
    return [...asked, { turn, event: toDecisionEvent(approval) }];
  });
}

function toDecisionEvent(approval: ApprovalView): RunEvent {
  const { id, summary, decision, status } = approval;
  return {
    kind: 'decision',
    approvalId: id,
    decision: decision?.decision ?? (status === 'expired' ? 'expired' : 'obsolete'),
    approver: decision?.approver ?? null,
    reason: decision?.reason ?? null,
    summary,
  };
}

/** `intended` is not news: the call has said it. */
function diffEffects(before: RunSnapshot | undefined, after: RunSnapshot): TurnEvent[] {
  const known = new Map(before?.effects.map((effect) => [effect.effect, effectMark(effect)]));
  return after.effects
    .filter((effect) => (known.get(effect.effect) ?? INTENDED_MARK) !== effectMark(effect))
    .map((effect) => ({ turn: effect.turn, event: { kind: 'effect', effect } }));
}

function diffFinish(before: RunSnapshot | undefined, { run, output }: RunSnapshot): RunEvent[] {
  if (!run.isFinished || before?.run.isFinished) return [];
  return [{ kind: 'finished', runKey: run.runKey, result: run.result, output }];
}

const INTENDED_MARK = JSON.stringify(['intended', 0, false, false]);

function effectMark({ status, sends, hasConflict, isPending }: EffectView): string {
  return JSON.stringify([status, sends, hasConflict, isPending]);
}

function turnId({ turn, generation }: TurnView): string {
  return `${generation}/${turn}`;
}

function callId({ turn, generation, call }: CallView): string {
  return `${generation}/${turn}/${call}`;
}
