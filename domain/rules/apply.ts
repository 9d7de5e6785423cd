// How a step's outcome changes a run: pure, total over every outcome, never in place.
import { assert, unreachable } from './assert.ts';
import { UNSIGNALLED_FROM } from './run.ts';
import type {
  CallResult,
  CallState,
  ChildEnd,
  CompactionResult,
  ModelStepResult,
  ProposedCall,
  RunState,
  RunUsage,
  SessionState,
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
    case 'compaction':
      return applyCompaction(state, outcome.result);
    case 'calls':
      return applyCalls(state, outcome.results);
    case 'children-started':
      return { ...state, calls: state.calls.map((call) => awaited(call, outcome.calls)) };
    case 'children':
      return applyChildren(state, outcome.ended);
    case 'children-ended':
      return { ...state, calls: state.calls.map((call) => (call.child ? done(call) : call)) };
    case 'waited':
      return { ...state, modelWait: undefined };
    case 'heard':
      return withSession(state, { isAwake: true });
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

function applyCompaction(state: RunState, result: CompactionResult): RunState {
  if (result.kind === 'paused' || result.kind === 'cancelled') return stopped(state, result.kind);
  const usage = result.usage ? addUsage(state.usage, result.usage) : state.usage;
  return { ...state, usage, compactedTurn: state.turn, contextTokens: 0 };
}

/** An activity has seen the control row before the signal came. */
function stopped(state: RunState, how: 'paused' | 'cancelled'): RunState {
  return { ...state, control: { ...state.control, [how]: true } };
}

function applyModel(state: RunState, result: ModelStepResult): RunState {
  if (result.kind === 'paused' || result.kind === 'cancelled') return stopped(state, result.kind);
  if (result.kind === 'waiting') {
    return { ...state, modelWait: { untilMs: result.untilMs, reason: result.reason } };
  }
  if (result.kind === 'idle') return withSession(state, { isAwake: false });
  if (result.kind === 'session-ended') return withSession(state, { isAwake: false, isEnded: true });
  return applyAnswer(fresh(state, result.session?.heard), result);
}

/** What a session's user says gives it its turns, denials and bad answers anew. */
function fresh(state: RunState, heard = 0): RunState {
  if (!state.session || heard === 0) return state;
  const { unusedAnswers: _, ...rest } = state;
  return withSession({ ...rest, denials: 0, invalidAnswers: 0 }, { sinceTurn: state.turn });
}

function withSession(state: RunState, change: Partial<SessionState>): RunState {
  return state.session ? { ...state, session: { ...state.session, ...change } } : state;
}

function applyAnswer(
  state: RunState,
  result: Extract<ModelStepResult, { kind: 'answered' }>,
): RunState {
  const isUnused = result.final?.why !== undefined;
  const isInvalid = result.final?.isValid === false && !isUnused;
  const isRepeat = result.calls.length > 0 && result.fingerprint === state.repeated.fingerprint;
  return {
    ...state,
    turn: state.turn + 1,
    seq: Math.max(state.seq, result.seq),
    calls: result.calls.map((call, index) => toCallState(state, call, index)),
    denials: state.denials + result.calls.filter((call) => call.verdict === 'forbid').length,
    repeated: { fingerprint: result.fingerprint, count: isRepeat ? state.repeated.count + 1 : 1 },
    usage: addUsage(state.usage, result.usage),
    ...(state.agent?.compaction
      ? {
          contextTokens:
            result.contextTokens ?? result.usage.inputTokens + result.usage.outputTokens,
        }
      : {}),
    final: result.final,
    invalidAnswers: state.invalidAnswers + (isInvalid ? 1 : 0),
    ...countUnused(state, isUnused),
    ...(state.session
      ? {
          session: {
            ...state.session,
            isAwake: (result.session?.heard ?? 0) >= UNSIGNALLED_FROM,
            isEnded: result.session?.isEnded ?? false,
          },
        }
      : {}),
  };
}

/** In a row: one that can be used begins anew. */
function countUnused({ unusedAnswers = 0 }: RunState, isUnused: boolean): Partial<RunState> {
  if (isUnused) return { unusedAnswers: unusedAnswers + 1 };
  return unusedAnswers > 0 ? { unusedAnswers: 0 } : {};
}

function toCallState(state: RunState, call: ProposedCall, index: number): CallState {
  const pins = state.agent?.tools ?? {};
  const pin = Object.hasOwn(pins, call.tool) ? pins[call.tool] : undefined;
  const isAllowed = call.verdict === 'permit' || call.verdict === 'approve';
  assert(pin || call.child || !isAllowed, `an allowed call names a pinned tool (${call.tool})`);
  return {
    call: String(index),
    tool: call.tool,
    contract: pin?.contract ?? (call.child ? 'read' : 'once'),
    parallel: pin?.parallel ?? false,
    timeoutMs: pin?.timeoutMs ?? 0,
    ...(pin?.isLocal ? { isLocal: true } : {}),
    summary: call.summary,
    status: !isAllowed ? 'done' : call.verdict === 'approve' ? 'awaiting_approval' : 'ready',
    effect: call.effect,
    approval: call.approval,
    ...(call.child ? { child: call.child } : {}),
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

function awaited(call: CallState, started: readonly string[]): CallState {
  return started.includes(call.call) ? { ...call, status: 'awaiting_child' } : call;
}

function done(call: CallState): CallState {
  return { ...call, status: 'done' };
}

/** What a sub-agent used up counts for its parent, too. */
function applyChildren(state: RunState, ended: ReadonlyMap<string, ChildEnd>): RunState {
  const usage = [...ended.values()].reduce((sum, child) => addUsage(sum, child.usage), state.usage);
  const calls = state.calls.map((call) => (ended.has(call.call) ? done(call) : call));
  return { ...state, usage, calls };
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
