// The heart of the agent loop: which step comes next. Pure, total, and the only place that branches on a run.
import { assert } from './assert.ts';
import { childStep, costMaxMicroUsd, openChildren } from './children.ts';
import { FailureType } from './failure.ts';
import { INVALID_ANSWERS_MAX, UNUSED_ANSWERS_MAX } from './run.ts';
import type { CallState, RunEnd, RunResult, RunState, Step } from './run.ts';

/** The next step of a run at `nowMs` (workflow time, epoch milliseconds). */
export function decide(state: RunState, nowMs: number): Step {
  assert(state.rules === 1, `rules ${String(state.rules)} are not known to this build`);
  if (state.control.cancelled) return finish(state, 'cancelled', 'cancelled by request');
  if (state.rejected !== undefined) return finish(state, 'invalid_input', state.rejected);
  if (state.control.paused) return { kind: 'await-resume' };
  if (!state.agent) return { kind: 'open' };
  const open = state.calls.filter((call) => call.status !== 'done');
  if (open.length > 0) return nextCallStep(state, open, nowMs);
  if (hasLastWord(state) && !state.session?.isAwake) return rest(state, nowMs);
  return (
    overLimit(state, nowMs) ??
    modelWait(state, nowMs) ??
    compaction(state) ?? { kind: 'call-model', turn: state.turn }
  );
}

/** An answer that can stand, or a refusal: a model that declines is not asked until it gives in. */
function hasLastWord({ final }: RunState): boolean {
  return final !== undefined && (final.isValid || final.why === 'refused');
}

/** Never beyond the deadline: nothing is sent meanwhile, and then the run ends. */
function modelWait(state: RunState, nowMs: number): Step | undefined {
  if (!state.modelWait) return undefined;
  const { untilMs, reason } = state.modelWait;
  const endMs = Math.min(untilMs, deadlineMs(state));
  return endMs > nowMs ? { kind: 'await-model', untilMs: endMs, reason } : undefined;
}

/** Due when the last call was too large or too much has been said; not again before it can shorten anything. */
function compaction({
  agent,
  turn,
  contextTokens = 0,
  compactedTurn = 1,
}: RunState): Step | undefined {
  const policy = agent?.compaction;
  if (!policy || turn - compactedTurn <= policy.keepTurns) return undefined;
  const isDue =
    contextTokens >= (policy.tokens ?? Infinity) ||
    turn - compactedTurn >= (policy.turns ?? Infinity);
  return isDue ? { kind: 'compact', turn, policy } : undefined;
}

/** When the run's deadline is, for waits that must not outlive it. */
export function deadlineMs(state: RunState): number {
  const ownMs = state.startedAtMs + (state.agent?.budget.deadlineMs ?? Number.MAX_SAFE_INTEGER);
  return Math.min(ownMs, state.limits?.deadlineAtMs ?? Infinity);
}

/** A run ends with its answer; a session waits for what its user says to it. */
function rest(state: RunState, nowMs: number): Step {
  if (!state.session || state.session.isEnded) {
    const { isValid, problem } = state.final ?? { isValid: true };
    return isValid ? finish(state, 'completed') : finish(state, 'refused', problem);
  }
  if (nowMs >= deadlineMs(state)) return finishLate(state);
  return { kind: 'await-user', untilMs: deadlineMs(state) };
}

function nextCallStep(state: RunState, open: readonly CallState[], nowMs: number): Step {
  const reads = open.filter(
    (call) => call.contract === 'read' && call.status === 'ready' && !call.child,
  );
  if (reads.length > 0) return { kind: 'run-calls', calls: reads };
  const [first] = open;
  assert(first, 'an open turn has an open call');
  if (first.child) {
    if (nowMs >= deadlineMs(state)) return finishLate(state);
    const step = childStep(open, deadlineMs(state));
    if (step) return step;
  }
  if (first.status === 'in_doubt' || first.status === 'pending')
    return { kind: 'await-settlement', call: first };
  if (first.status === 'awaiting_approval') {
    // Nothing was sent, and a wait that is over already would be repeated for ever.
    if (nowMs >= deadlineMs(state)) return finishLate(state);
    const expiresAtMs = first.approval?.expiresAtMs ?? deadlineMs(state);
    return {
      kind: 'await-approval',
      call: first,
      untilMs: Math.min(expiresAtMs, deadlineMs(state)),
    };
  }
  return { kind: 'run-calls', calls: first.parallel ? leadingParallel(open) : [first] };
}

/** Effects run in call order; only a run of neighbours that all say `parallel` goes together. */
function leadingParallel(open: readonly CallState[]): readonly CallState[] {
  const end = open.findIndex((call) => !call.parallel || call.status !== 'ready');
  return end === -1 ? open : open.slice(0, end);
}

function overLimit(state: RunState, nowMs: number): Step | undefined {
  const budget = state.agent?.budget;
  assert(budget, 'limits are known once the agent is open');
  if (state.invalidAnswers >= INVALID_ANSWERS_MAX) {
    return finish(state, 'invalid_output', state.final?.problem);
  }
  const { unusedAnswers = 0 } = state;
  if (unusedAnswers >= UNUSED_ANSWERS_MAX) {
    const why = `${unusedAnswers} answers in a row were not used; the last one: ${state.final?.problem ?? ''}`;
    return finish(state, 'invalid_output', `${FailureType.ModelAnswerInvalid}: ${why}`);
  }
  if (nowMs >= deadlineMs(state)) return finishLate(state);
  if (state.denials >= budget.denials) {
    return finish(state, 'blocked', `${state.denials} calls were denied`);
  }
  if (state.repeated.count >= budget.repeats) {
    return finish(state, 'stalled', `the same call came ${state.repeated.count} times in a row`);
  }
  if (state.turn > budget.turns + (state.session ? state.session.sinceTurn - 1 : 0))
    return finish(state, 'out_of_turns', `${budget.turns} turns are used`);
  const costMax = costMaxMicroUsd(state);
  if (state.usage.costMicroUsd >= costMax) {
    return finish(state, 'over_budget', `cost ${state.usage.costMicroUsd} of ${costMax} micro-USD`);
  }
  return undefined;
}

function finishLate(state: RunState): Step {
  return finish(state, 'deadline_passed', 'the deadline has passed');
}

function finish(state: RunState, kind: RunEnd, reason?: string): Step {
  const children = openChildren(state);
  if (children.length > 0) return { kind: 'end-children', calls: children };
  const result: RunResult = { v: 1, kind, reason, turns: state.turn - 1, usage: state.usage };
  return { kind: 'finish', result };
}
