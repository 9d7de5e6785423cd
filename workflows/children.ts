// Sub-agents as child workflows: started once under a key of their own, outliving their parent's executions, heard by signal.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { childLimits } from '../domain/rules/children.ts';
import { deadlineMs } from '../domain/rules/decide.ts';
import type { CallState, ChildEnd, RunState, Step, StepOutcome } from '../domain/rules/run.ts';
import { ledgerOptions } from './activity-options.ts';
import type { agentRun } from './agent-run.ts';
import { type Inbox, nextOf, note } from './inbox.ts';
import { type AgentRunInput, childEnded, WorkflowType } from './messages.ts';
import { runPawlActivity } from './run-activity.ts';

type Child = NonNullable<CallState['child']>;
type AwaitStep = Extract<Step, { kind: 'await-children' }>;

/** Writes their rows, then starts their workflows; one that is under way or has ended is not started again. */
export async function startChildren(
  calls: readonly CallState[],
  state: RunState,
  inbox: Inbox,
): Promise<StepOutcome> {
  const opened = await runPawlActivity(
    'pawl.openChildren',
    childrenInput(calls, state),
    ledgerOptions,
  );
  if (opened.kind !== 'opened') {
    inbox[opened.kind] = true;
    return { kind: 'control' };
  }
  const limits = childLimits(state, calls.length, deadlineMs(state));
  const paths = new Map(opened.children.map(({ runKey, path }) => [runKey, path]));
  const ended = new Set(opened.children.flatMap((one) => (one.isFinished ? [one.runKey] : [])));
  for (const { child } of calls) {
    if (!child) continue;
    const isThere =
      ended.has(child.runKey) ||
      !(await start(child, { ...originOf(state), limits, path: paths.get(child.runKey) ?? [] }));
    // Its signal may have gone to an execution before this one.
    if (isThere) note(inbox, child.runKey);
  }
  return { kind: 'children-started', calls: calls.map(({ call }) => call) };
}

type Origin = Omit<AgentRunInput<RunState>, 'runKey' | 'agent'>;

function originOf({ tenant, rootKey, runKey }: RunState): Omit<Origin, 'path'> {
  return { v: 1, tenant, rootKey, generation: 0, parent: runKey };
}

/** False when it had been started before. */
async function start({ runKey, agent }: Child, origin: Origin): Promise<boolean> {
  try {
    await startChild<typeof agentRun>(WorkflowType.AgentRun, {
      workflowId: runKey,
      args: [{ ...origin, runKey, agent }],
      // Continue-as-new is an end to Temporal: a child must not end with it.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
      workflowTaskTimeout: workflowInfo().taskTimeoutMs,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      staticSummary: `${agent} · ${runKey}`,
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Waits for the word of one of them, then asks the ledger which have ended: a signal only wakes. */
export async function awaitChildren(
  { calls, untilMs }: AwaitStep,
  state: RunState,
  inbox: Inbox,
  lookAgainMs: number,
): Promise<StepOutcome> {
  const { controls } = inbox;
  const keys = calls.flatMap(({ child }) => (child ? [child.runKey] : []));
  await nextOf(inbox, keys, Math.min(untilMs - Date.now(), lookAgainMs));
  if (inbox.controls > controls) return { kind: 'control' };
  const input = childrenInput(calls, state);
  const found = await runPawlActivity('pawl.collectChildren', input, ledgerOptions);
  return { kind: 'children', ended: new Map<string, ChildEnd>(Object.entries(found)) };
}

/** Asks each to end: what it has not sent is never sent. Whether it is still there does not matter. */
export async function endChildren(calls: readonly CallState[]): Promise<StepOutcome> {
  await CancellationScope.nonCancellable(() =>
    Promise.all(calls.flatMap(({ child }) => (child ? [ignore(cancel(child))] : []))),
  );
  return { kind: 'children-ended' };
}

function cancel({ runKey }: Child): Promise<void> {
  return getExternalWorkflowHandle(runKey).cancel();
}

/** A sub-agent's last word to its parent; the parent looks for itself when it cannot be reached. */
export async function reportToParent({ parent, runKey }: RunState): Promise<void> {
  if (!parent) return;
  const word = { v: 1, run: runKey } as const;
  await CancellationScope.nonCancellable(() =>
    ignore(getExternalWorkflowHandle(parent).signal(childEnded, word)),
  );
}

async function ignore(work: Promise<void>): Promise<void> {
  await work.catch(() => undefined);
}

function childrenInput(calls: readonly CallState[], state: RunState) {
  const { tenant, rootKey, path, runKey, generation, turn } = state;
  return {
    v: 1,
    runKey,
    // The calls belong to the answer before the turn that comes next.
    address: { tenant, rootKey, path, generation, turn: turn - 1 },
    calls: calls.map(({ call }) => call),
  } as const;
}
