// A small world around the pure loop: it answers every step from a tape of random numbers and checks each transition.
import { apply, withControl } from '../../domain/rules/apply.ts';
import { decide } from '../../domain/rules/decide.ts';
import type {
  AgentPin,
  CallResult,
  CallState,
  FinalAnswer,
  ModelStepResult,
  ProposedCall,
  RunState,
  Step,
  StepOutcome,
} from '../../domain/rules/run.ts';
import { startRun } from '../../domain/rules/start-run.ts';

export const START_MS = 1_000_000;
export const AGENT: AgentPin = {
  name: 'support',
  hash: 'h',
  tools: {
    look: { contract: 'read', timeoutMs: 1_000, parallel: false },
    pay: { contract: 'keyed', timeoutMs: 1_000, parallel: false },
    mail: { contract: 'once', timeoutMs: 1_000, parallel: false },
    tag: { contract: 'keyed', timeoutMs: 1_000, parallel: true },
  },
  budget: { turns: 6, costMicroUsd: 1_000_000, deadlineMs: 3_600_000, denials: 5, repeats: 4 },
};
const TOOLS = Object.keys(AGENT.tools);

export function newRun(): RunState {
  const origin = { tenant: 't', runKey: 'run_1', rootKey: 'run_1', path: [], generation: 0 };
  return startRun({ ...origin, agent: 'support' }, START_MS);
}

/** What became of a walk. */
export interface Walk {
  readonly steps: readonly Step[];
  readonly states: readonly RunState[];
  /** `turn/call` of every call that was carried out, in order. */
  readonly ran: readonly string[];
  readonly end: Extract<Step, { kind: 'finish' }>['result'];
}

const STEPS_MAX = 600;

/** Walks a run to its end; when the tape is used up, the world is kind but no human ever decides. */
export function walkRun(tape: readonly number[], tools: readonly string[] = TOOLS): Walk {
  const world = createWorld(tape, tools);
  const steps: Step[] = [];
  const states: RunState[] = [];
  let state = newRun();
  for (;;) {
    state = withControl(state, world.control(state));
    const before = JSON.stringify(state);
    const step = decide(state, world.nowMs());
    steps.push(step);
    states.push(state);
    if (step.kind === 'finish') return { steps, states, ran: world.ran(), end: step.result };
    if (steps.length > STEPS_MAX) throw new Error(`No end after ${STEPS_MAX} steps: ${step.kind}`);
    world.check(state, step);
    const next = apply(state, world.answer(state, step));
    must(JSON.stringify(state) === before, 'apply changes nothing in place');
    must(next.seq >= state.seq, 'the sequence never falls');
    const turns = next.turn - state.turn;
    must(turns === 0 || (turns === 1 && step.kind === 'call-model'), 'a turn is one model call');
    state = next;
  }
}

interface World {
  nowMs(): number;
  ran(): readonly string[];
  control(state: RunState): RunState['control'];
  check(state: RunState, step: Step): void;
  answer(state: RunState, step: Exclude<Step, { kind: 'finish' }>): StepOutcome;
}

function createWorld(tape: readonly number[], tools: readonly string[]): World {
  let at = 0;
  let nowMs = START_MS;
  let control = { paused: false, cancelled: false };
  const ran: string[] = [];
  const ended = new Set<string>();
  const doubted = new Map<number, number>();
  /** Neighbours that run together may be in doubt together: each is looked at again. */
  const everInDoubt = new Set<string>();
  const isOver = (): boolean => at >= tape.length;
  const draw = (choices: number): number => (tape[at++] ?? 0) % choices;
  const callId = (state: RunState, { call }: CallState): string => `${state.turn - 1}/${call}`;

  function result(state: RunState, call: CallState): CallResult {
    const seq = state.seq + draw(2);
    const approval = { id: 'ap_1', expiresAtMs: nowMs + 60_000 };
    // Nobody decides any more: the approval stays open, and expires long after the deadline.
    if (isOver() && call.approval) {
      return { kind: 'awaiting_approval', approval: { ...approval, expiresAtMs: Infinity } };
    }
    const results: readonly CallResult[] = [
      { kind: 'ended', end: 'applied', seq },
      { kind: 'ended', end: 'refused', seq },
      { kind: 'ended', end: 'denied', seq },
      { kind: 'ended', end: 'expired', seq },
      ...(call.contract === 'read'
        ? []
        : ([
            { kind: 'in_doubt', reason: 'reset', seq },
            { kind: 'awaiting_approval', approval },
            { kind: 'paused' },
          ] as const)),
    ];
    return results[draw(results.length)] ?? { kind: 'paused' };
  }

  function runCalls(state: RunState, calls: readonly CallState[]): StepOutcome {
    const results = new Map<string, CallResult>();
    for (const call of calls) {
      const became = result(state, call);
      results.set(call.call, became);
      if (became.kind === 'ended') {
        ran.push(callId(state, call));
        ended.add(callId(state, call));
      }
      if (became.kind === 'in_doubt') {
        everInDoubt.add(callId(state, call));
        const turn = state.turn - 1;
        doubted.set(turn, Math.min(Number(call.call), doubted.get(turn) ?? Infinity));
      }
    }
    return { kind: 'calls', results };
  }

  function model(): ModelStepResult {
    if (isOver()) return answered([], { isValid: true });
    const kind = draw(14);
    if (kind === 0) return { kind: 'paused' };
    if (kind === 1) return { kind: 'cancelled' };
    if (kind === 2) return answered([], { isValid: draw(2) === 0, problem: 'not JSON' });
    if (kind === 3) return unusedAnswer();
    if (kind === 4) return { kind: 'waiting', untilMs: nowMs + 90_000, reason: 'later' };
    return answered(Array.from({ length: draw(5) }, proposal), undefined);
  }

  /** Its calls are told of, and none of them is for anybody to run. */
  function unusedAnswer(): ModelStepResult {
    const why = (['cut', 'cut', 'paused', 'unusable', 'refused'] as const)[draw(5)] ?? 'cut';
    const calls = Array.from({ length: draw(3) }, proposal).map(
      ({ tool, rule, summary }) => ({ tool, rule, summary, verdict: 'invalid' }) as const,
    );
    return answered(calls, { isValid: false, problem: why, why });
  }

  function proposal(): ProposedCall {
    const tool = tools[draw(tools.length)] ?? 'look';
    const verdict =
      (['permit', 'permit', 'permit', 'approve', 'forbid', 'invalid'] as const)[draw(6)] ??
      'permit';
    const approval =
      verdict === 'approve' ? { approval: { id: 'ap_0', expiresAtMs: nowMs + 60_000 } } : {};
    return { tool, verdict, rule: 'r', summary: tool, ...approval };
  }

  function answered(
    calls: readonly ProposedCall[],
    final: FinalAnswer | undefined,
  ): ModelStepResult {
    const usage = {
      inputTokens: 1,
      outputTokens: 1,
      cachedInputTokens: 0,
      costMicroUsd: draw(4) * 100_000,
    };
    return {
      kind: 'answered',
      calls,
      fingerprint: String(draw(3)),
      usage,
      seq: 0,
      ...(final ? { final } : {}),
    };
  }

  return {
    nowMs: () => nowMs,
    ran: () => ran,
    control(state) {
      control = {
        ...state.control,
        ...(isOver() ? { paused: false } : control.cancelled ? { cancelled: true } : {}),
      };
      const kind = isOver() ? 0 : draw(20);
      if (kind === 19) control = { ...control, paused: true };
      if (kind === 18 || kind === 17) control = { ...control, paused: false };
      if (kind === 16 && draw(4) === 0) control = { ...control, cancelled: true };
      return control;
    },
    check(state, step) {
      must(!state.control.cancelled, `cancelled, and yet ${step.kind}`);
      must(!state.control.paused || step.kind === 'await-resume', `paused, and yet ${step.kind}`);
      must(step.kind !== 'await-approval' || step.untilMs > nowMs, 'a wait is for a time to come');
      if (step.kind === 'run-calls') checkCalls(state, step.calls);
    },
    answer(state, step) {
      nowMs += 1_000;
      switch (step.kind) {
        case 'open':
          return { kind: 'opened', agent: AGENT, seq: draw(3) };
        case 'call-model':
          return { kind: 'model', result: model() };
        case 'run-calls':
          return runCalls(state, step.calls);
        case 'await-approval':
          if (isOver()) nowMs = Math.max(nowMs, step.untilMs);
          return draw(4) === 1 ? { kind: 'control' } : { kind: 'woken', call: step.call.call };
        case 'await-settlement':
          return draw(4) === 1 ? { kind: 'control' } : { kind: 'woken', call: step.call.call };
        case 'await-model':
          nowMs = draw(2) === 0 ? Math.max(nowMs, step.untilMs) : nowMs;
          return { kind: 'waited' };
        case 'compact':
        case 'await-user':
        case 'start-children':
        case 'await-children':
        case 'end-children':
          throw new Error(`a plain run never comes to ${step.kind}`);
        case 'await-resume':
          control = { ...control, paused: false };
          return { kind: 'control' };
      }
    },
  };

  function checkCalls(state: RunState, calls: readonly CallState[]): void {
    must(calls.length > 0, 'a step of calls has calls');
    for (const call of calls) {
      const id = callId(state, call);
      must(!ended.has(id), `${id} runs again after it has ended`);
      const doubt = doubted.get(state.turn - 1) ?? Infinity;
      const mayRun = Number(call.call) <= doubt || everInDoubt.has(id);
      must(mayRun, `${id} runs behind an effect in doubt`);
      must(call.status === 'ready', `${id} runs while ${call.status}`);
    }
    const effects = calls.filter((call) => call.contract !== 'read');
    if (effects.length === 0) return;
    must(effects.length === calls.length, 'reads and effects do not go together');
    must(effects.length === 1 || effects.every((call) => call.parallel), 'effects go one by one');
    const first = Number(effects[0]?.call);
    const open = state.calls.filter((call) => Number(call.call) < first && call.status !== 'done');
    must(open.length === 0, `call ${first} overtakes ${open[0]?.call}`);
  }
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`The walk breaks a rule: ${what}`);
}

/** A run whose agent is known. */
export const opened: RunState = { ...newRun(), agent: AGENT };
const call = (change: Partial<CallState> = {}): CallState => ({
  call: '0',
  tool: 'pay',
  contract: 'keyed',
  parallel: false,
  timeoutMs: 1_000,
  summary: 'pay',
  status: 'ready',
  ...change,
});
/** A run in whose answer these calls stand. */
export const withCalls = (...calls: readonly Partial<CallState>[]): RunState => ({
  ...opened,
  turn: 2,
  calls: calls.map((change, index) => call({ call: String(index), ...change })),
});
