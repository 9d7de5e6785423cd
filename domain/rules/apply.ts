// How a step's outcome changes a run: pure, total over every outcome, never in place.
import { assert, unreachable } from './assert.ts';
import type {
  CallResult,
  CallState,
  ModelStepResult,
  ProposedCall,
  RunState,
  RunUsage,
  StepOutcome,
} from './run.ts';

/** The run after a step. */
export function apply(state: RunState, outcome: StepOutcome): RunState {
  switch (outcome.kind) {
    case 'opened':
      return { ...state, agent: outcome.agent, seq: Math.max(state.seq, outcome.seq) };
    case 'rejected':
      return { ...state, rejected: outcome.reason };
    case 'model':
      return applyModel(state, outcome.result);
    case 'calls':
      return applyCalls(state, outcome.results);
    case 'woken':
      return { ...state, calls: state.calls.map((call) => wake(call, outcome.call)) };
    case 'control':
      return state;
    default:
      return unreachable(outcome);
  }
}

/** The run with the control flags as the signals have left them. */
export function withControl(state: RunState, control: RunState['control']): RunState {
  const { paused, cancelled } = state.control;
  return paused === control.paused && cancelled === control.cancelled
    ? state
    : { ...state, control };
}

function applyModel(state: RunState, result: ModelStepResult): RunState {
  if (result.kind === 'paused') return { ...state, control: { ...state.control, paused: true } };
  if (result.kind === 'cancelled')
    return { ...state, control: { ...state.control, cancelled: true } };
  const isInvalid = result.final !== undefined && !result.final.isValid;
  const isRepeat = result.calls.length > 0 && result.fingerprint === state.repeated.fingerprint;
  return {
    ...state,
    turn: state.turn + 1,
    seq: Math.max(state.seq, result.seq),
    calls: result.calls.map((call, index) => toCallState(state, call, index)),
    denials: state.denials + result.calls.filter((call) => call.verdict === 'forbid').length,
    repeated: { fingerprint: result.fingerprint, count: isRepeat ? state.repeated.count + 1 : 1 },
    usage: addUsage(state.usage, result.usage),
    final: result.final,
    invalidAnswers: state.invalidAnswers + (isInvalid ? 1 : 0),
  };
}

function toCallState(state: RunState, call: ProposedCall, index: number): CallState {
  const pins = state.agent?.tools ?? {};
  const pin = Object.hasOwn(pins, call.tool) ? pins[call.tool] : undefined;
  const isAllowed = call.verdict === 'permit' || call.verdict === 'approve';
  assert(pin || !isAllowed, `an allowed call names a pinned tool (${call.tool})`);
  return {
    call: String(index),
    tool: call.tool,
    contract: pin?.contract ?? 'once',
    parallel: pin?.parallel ?? false,
    timeoutMs: pin?.timeoutMs ?? 0,
    summary: call.summary,
    status: !isAllowed ? 'done' : call.verdict === 'approve' ? 'awaiting_approval' : 'ready',
    effect: call.effect,
    approval: call.approval,
  };
}

function applyCalls(state: RunState, results: ReadonlyMap<string, CallResult>): RunState {
  const values = [...results.values()];
  const seq = values.reduce(
    (high, result) => Math.max(high, 'seq' in result ? result.seq : 0),
    state.seq,
  );
  const noes = values.filter(
    (result) => result.kind === 'ended' && (result.end === 'denied' || result.end === 'forbidden'),
  ).length;
  const calls = state.calls.map((call) => settleCall(call, results.get(call.call)));
  const isPaused = values.some((result) => result.kind === 'paused');
  return {
    ...state,
    seq,
    denials: state.denials + noes,
    calls: skipBehindDoubt(calls),
    control: isPaused ? { ...state.control, paused: true } : state.control,
  };
}

function settleCall(call: CallState, result: CallResult | undefined): CallState {
  if (!result) return call;
  switch (result.kind) {
    case 'ended':
      return { ...call, status: 'done' };
    case 'in_doubt':
      return { ...call, status: 'in_doubt' };
    case 'pending':
      return { ...call, status: 'pending' };
    case 'awaiting_approval':
      return { ...call, status: 'awaiting_approval', approval: result.approval };
    case 'paused':
    case 'unrecorded':
      return call;
    default:
      return unreachable(result);
  }
}

/** Calls behind an effect in doubt were proposed without knowing of it: they are skipped, never sent. */
function skipBehindDoubt(calls: readonly CallState[]): readonly CallState[] {
  const doubt = calls.findIndex((call) => call.status === 'in_doubt');
  if (doubt === -1) return calls;
  return calls.map((call, index) =>
    index > doubt && call.status !== 'in_doubt' ? { ...call, status: 'done' } : call,
  );
}

function wake(call: CallState, woken: string): CallState {
  return call.call === woken && call.status !== 'done' ? { ...call, status: 'ready' } : call;
}

function addUsage(sum: RunUsage, more: RunUsage): RunUsage {
  return {
    inputTokens: sum.inputTokens + more.inputTokens,
    outputTokens: sum.outputTokens + more.outputTokens,
    cachedInputTokens: sum.cachedInputTokens + more.cachedInputTokens,
    costMicroUsd: sum.costMicroUsd + more.costMicroUsd,
  };
}
