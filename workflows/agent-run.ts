// The agent loop as a durable shell: it carries out what the pure rules decide, one step after the other.
import {
  CancellationScope,
  condition,
  continueAsNew,
  ContinueAsNew,
  executeChild,
  ParentClosePolicy,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import { apply, withControl } from '../domain/rules/apply.ts';
import { decide } from '../domain/rules/decide.ts';
import { startRun, wakeWaiting } from '../domain/rules/start-run.ts';
import type { RunResult, RunState } from '../domain/rules/run.ts';
import type { Json } from '../domain/rules/json.ts';
import { ledgerOptions, stepDetails } from './activity-options.ts';
import { reportToParent } from './children.ts';
import { type Inbox, openInbox } from './inbox.ts';
import type { pawlCompensate } from './compensate.ts';
import { type AgentRunInput, type RunStatusView, WorkflowType } from './messages.ts';
import { performStep } from './perform-step.ts';
import { runPawlActivity } from './run-activity.ts';

/** What Temporal's UI shows as the run's result; `output` only when it is short. */
export interface AgentRunResult extends RunResult {
  readonly output: Json;
}

/** One run of an agent. Started by `PawlClient.start`, which writes the run's rows first. */
export async function agentRun(input: AgentRunInput<RunState>): Promise<AgentRunResult> {
  let state = input.carried ? wakeWaiting(input.carried) : startRun(input, Date.now());
  let view: RunStatusView = {
    v: 1,
    step: 'open',
    detail: '',
    turn: state.turn,
    sinceMs: Date.now(),
  };
  const inbox = openInbox(state.control, () => view);
  try {
    if (input.undo && !state.agent) await undoFirst(input, input.undo);
    for (;;) {
      state = withControl(state, { paused: inbox.paused, cancelled: inbox.cancelled });
      const step = decide(state, Date.now());
      view = {
        v: 1,
        step: step.kind,
        detail: stepDetails(step, state.turn),
        turn: state.turn,
        sinceMs: Date.now(),
      };
      setCurrentDetails(view.detail);
      if (step.kind === 'finish') return await close(state, step.result);
      const { controls } = inbox;
      const outcome = await performStep(step, state, inbox);
      const applied = apply(state, outcome);
      // What a stored answer waits for may have come long ago: nobody signals it a second time.
      const isStored =
        input.again && outcome.kind === 'model' && outcome.result.kind === 'answered';
      const next = isStored ? wakeWaiting(applied) : applied;
      // A message that came meanwhile is newer than what an activity has seen in the rows.
      if (inbox.controls === controls && next.control !== state.control) noteControl(inbox, next);
      state = next;
      if (workflowInfo().continueAsNewSuggested) await carryOn(input, state, inbox);
    }
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    return park(input, state, inbox, error, (parked) => (view = parked));
  }
}

/** An activity may have seen the rows before the signal came. */
function noteControl(inbox: Inbox, state: RunState): void {
  inbox.paused ||= state.control.paused;
  inbox.cancelled ||= state.control.cancelled;
}

/** A fork that is to take back what was done begins with that: a child of its own, with doubts of its own. */
async function undoFirst(
  { tenant, runKey }: AgentRunInput<RunState>,
  undo: NonNullable<AgentRunInput['undo']>,
): Promise<void> {
  const compensateInput = { v: 1, tenant, ...undo } as const;
  await CancellationScope.nonCancellable(() =>
    executeChild<typeof pawlCompensate>(WorkflowType.Compensate, {
      workflowId: `${runKey}-compensate`,
      args: [compensateInput],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    }),
  );
}

/** Ends the run's row in a scope that a cancel request cannot reach. */
async function close(state: RunState, result: RunResult): Promise<AgentRunResult> {
  const { tenant, runKey } = state;
  const output = await CancellationScope.nonCancellable(() =>
    runPawlActivity('pawl.close', { v: 1, tenant, runKey, result }, ledgerOptions),
  );
  await reportToParent(state);
  return { ...result, output };
}

/** A new execution with the same workflow id and the same state; nothing of the old history comes along. */
async function carryOn(
  input: AgentRunInput<RunState>,
  state: RunState,
  { paused, cancelled }: Inbox,
): Promise<never> {
  const { input: _shown, ...rest } = input;
  // What was signalled since the last step: the new execution has an inbox of its own.
  const carried = withControl(state, { paused, cancelled });
  return continueAsNew<typeof agentRun>({ ...rest, carried });
}

/** A run that cannot go on is parked, visibly and for as long as it takes; `pawl resume` takes it up again. */
async function park(
  input: AgentRunInput<RunState>,
  state: RunState,
  inbox: Inbox,
  error: unknown,
  show: (view: RunStatusView) => void,
): Promise<never> {
  const { tenant, runKey } = state;
  const cause = causeOf(error);
  const detail = `stuck: ${cause.type}: ${cause.message}`;
  show({ v: 1, step: 'stuck', detail, turn: state.turn, sinceMs: Date.now() });
  setCurrentDetails(detail);
  const { controls } = inbox;
  return CancellationScope.nonCancellable(async () => {
    await runPawlActivity('pawl.park', { v: 1, tenant, runKey, cause }, ledgerOptions);
    await condition(() => inbox.controls > controls && !inbox.paused);
    await runPawlActivity('pawl.park', { v: 1, tenant, runKey, cause: null }, ledgerOptions);
    return carryOn(input, state, inbox);
  });
}

/** It is shown in a line and stored with the run; the failure itself has all of it. */
const CAUSE_CHARS_MAX = 4_000;

/** The deepest cause that names itself: Temporal wraps a failure once per boundary. */
function causeOf(error: unknown): { type: string; message: string } {
  let deepest = { type: 'Error', message: String(error) };
  for (let at = error; at instanceof Error; at = at.cause) {
    const type = 'type' in at && typeof at.type === 'string' ? at.type : at.name;
    deepest = { type, message: at.message.slice(0, CAUSE_CHARS_MAX) };
  }
  return deepest;
}
