// Carries out one step of a run: which activity, with what, and how its end is told to the rules.
import { CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import type { CallResults } from '../activities/runs/run-calls.ts';
import type { PawlActivities } from '../activities/index.ts';
import { assert } from '../domain/rules/assert.ts';
import { depthLeft } from '../domain/rules/children.ts';
import { deadlineMs } from '../domain/rules/decide.ts';
import type { ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import type {
  CallResult,
  CallState,
  CompactionPolicy,
  CompactionResult,
  ModelStepResult,
  RunState,
  Step,
  StepOutcome,
} from '../domain/rules/run.ts';
import {
  callsActivity,
  callsSummary,
  ledgerOptions,
  modelOptions,
  stepDetails,
} from './activity-options.ts';
import { executionMemory } from './execution-memory.ts';
import { SIGNALLED_LOOK_MS } from './waits.ts';
import { awaitChildren, endChildren, startChildren } from './children.ts';
import { runPawlActivity, runTool } from './run-activity.ts';
import { type Inbox, nextControl, nextNews, nextWords } from './inbox.ts';

/** The first look at a doubt after nobody has signalled; doubles up to an hour. */
const LOOK_AGAIN_MS = 60_000;
const LOOK_AGAIN_MAX_MS = 3_600_000;
const PENDING_LOOK_MS = 5_000;
/** How long a session trusts that its user's words would have been signalled. */
const USER_LOOK_MS = 3_600_000;
/** How long a paused run trusts that a resume would have been signalled. */
const PAUSE_LOOK_MS = 900_000;

/** Performs every step but `finish`. A cancel request ends waits and the paid call, never an effect. */
export function performStep(
  step: Exclude<Step, { kind: 'finish' }>,
  state: RunState,
  inbox: Inbox,
): Promise<StepOutcome> {
  return dispatchStep(step, state, inbox).catch((error: unknown) => {
    if (!isCancellation(error)) throw error;
    inbox.cancelled = true;
    return { kind: 'control' };
  });
}

/** Each promise costs the sandbox a stack trace: the steps of every turn are told here without one of their own. */
function dispatchStep(
  step: Exclude<Step, { kind: 'finish' }>,
  state: RunState,
  inbox: Inbox,
): Promise<StepOutcome> {
  switch (step.kind) {
    case 'open':
      return runPawlActivity('pawl.open', openInput(state), ledgerOptions);
    case 'call-model':
      inbox.isSpokenTo = false;
      return callModel(state).then((result) => ({ kind: 'model', result }));
    case 'compact':
      return compact(step.policy, state).then((result) => ({ kind: 'compaction', result }));
    case 'run-calls':
      return runCalls(step.calls, state).then((results) => ({ kind: 'calls', results }));
    case 'start-children':
      return startChildren(step.calls, state, inbox);
    case 'await-children':
      return awaitChildren(step, state, inbox, lookAgainMs(LOOK_AGAIN_MS, state));
    case 'end-children':
      return endChildren(step.calls);
    case 'await-approval':
    case 'await-settlement':
    case 'await-user':
    case 'await-resume':
    case 'await-model':
      return wait(step, state, inbox);
  }
}

type Wait = Extract<
  Step,
  { kind: 'await-approval' | 'await-settlement' | 'await-user' | 'await-resume' | 'await-model' }
>;

async function wait(step: Wait, state: RunState, inbox: Inbox): Promise<StepOutcome> {
  const summary = stepDetails(step, state.turn);
  switch (step.kind) {
    case 'await-approval':
      await nextNews(inbox, step.call.approval?.id ?? '', step.untilMs - Date.now(), summary);
      return { kind: 'woken', call: step.call.call };
    case 'await-settlement':
      await nextNews(inbox, step.call.effect ?? '', firstLookMs(step.call, state), summary);
      noteLook(step.call);
      return { kind: 'woken', call: step.call.call };
    case 'await-user':
      await nextWords(inbox, Math.min(step.untilMs - Date.now(), USER_LOOK_MS));
      return { kind: 'heard' };
    case 'await-model':
      // Whoever pauses meanwhile ends it too: a resume then asks the model, whatever time is left.
      await nextControl(inbox, Math.max(1, step.untilMs - Date.now()));
      return { kind: 'waited' };
    case 'await-resume':
      // The row decides: after a while a paused run asks it, in case a signal was lost.
      if (!(await nextControl(inbox, PAUSE_LOOK_MS))) inbox.paused = false;
      return { kind: 'control' };
  }
}

/** A receiver that has accepted is often done within seconds; the end of a doubt is signalled until it is heard. */
function firstLookMs({ status }: CallState, state: RunState): number {
  return status === 'pending' ? lookAgainMs(PENDING_LOOK_MS, state) : SIGNALLED_LOOK_MS;
}

/** The longer a run is under way, the more rarely it looks for what would have been signalled. */
function lookAgainMs(firstMs: number, state: RunState): number {
  const waitedMs = Date.now() - state.startedAtMs;
  // What outlives the deadline, such as a receiver's word, is not looked for more often than before it.
  const leftMs = deadlineMs(state) - Date.now();
  const untilDeadlineMs = leftMs > 0 ? Math.max(LOOK_AGAIN_MS, leftMs) : Infinity;
  return Math.min(Math.max(firstMs, waitedMs), LOOK_AGAIN_MAX_MS, untilDeadlineMs);
}

/** Reads go in one activity; each effect has its own, and nothing cancels it. */
function runCalls(
  calls: readonly CallState[],
  state: RunState,
): Promise<ReadonlyMap<string, CallResult>> {
  const reads = calls.filter((call) => call.contract === 'read');
  const groups = [...(reads.length > 0 ? [reads] : []), ...effectsOf(calls).map((call) => [call])];
  const [only, ...others] = groups;
  return CancellationScope.nonCancellable(() =>
    only && others.length === 0
      ? runGroup(only, state).then((results) => new Map(Object.entries(results)))
      : Promise.all(groups.map((group) => runGroup(group, state))).then(
          (results) => new Map(results.flatMap((result) => Object.entries(result))),
        ),
  );
}

function effectsOf(calls: readonly CallState[]): readonly CallState[] {
  return calls.filter((call) => call.contract !== 'read');
}

function runGroup(calls: readonly CallState[], state: RunState): Promise<CallResults> {
  const input: ToolActivityInput = {
    v: 1,
    kind: 'calls',
    // The calls belong to the answer before the turn that comes next.
    address: addressOf(state, state.turn - 1),
    runKey: state.runKey,
    calls: calls.map(({ call }) => call),
    seq: state.seq,
  };
  const timeoutMs = Math.max(...calls.map((call) => call.timeoutMs));
  const isLocal = calls.every((call) => call.isLocal);
  const summary = `${callsSummary(calls)}${looksOf(calls)}`;
  const run = { type: callsActivity(calls), timeoutMs, isLocal, summary };
  return runTool<CallResults>(run, input).then((results) =>
    Object.values(results).some(isUnrecorded) ? writeBack(results, state) : results,
  );
}

/** A look at what is known already is not the effect itself: Temporal's UI shows both as the same activity. */
function noteLook({ effect = '', status }: CallState): void {
  const { looks } = executionMemory();
  const { count = 1 } = looks.get(effect) ?? {};
  looks.set(effect, { count: count + 1, what: status === 'pending' ? 'accepted' : 'in doubt' });
}

function looksOf([only, ...others]: readonly CallState[]): string {
  const look = others.length === 0 && only?.effect && executionMemory().looks.get(only.effect);
  return look ? ` · ${look.what}, look ${look.count}` : '';
}

/**
 * Outcomes that the ledger could not take travel through history until it can. What they amount to is the ledger's to say:
 * such a call stays as it was, and is looked at again.
 */
async function writeBack(results: CallResults, state: RunState): Promise<CallResults> {
  for (const result of Object.values(results)) {
    if (!isUnrecorded(result)) continue;
    const { kind: _, ...outcome } = result;
    const input = { v: 1, tenant: state.tenant, ...outcome } as const;
    await runPawlActivity('pawl.writeBack', input, ledgerOptions);
  }
  return results;
}

function isUnrecorded(result: CallResult): result is Extract<CallResult, { kind: 'unrecorded' }> {
  return result.kind === 'unrecorded';
}

/** The turn stands beside the activity in Temporal's UI. */
function callModel(state: RunState): Promise<ModelStepResult> {
  const options = { ...modelOptions, summary: `turn ${state.turn}` };
  return runPawlActivity('pawl.model', modelInput(state), options);
}

/** One model call of its own, recorded and priced as such. */
function compact(
  { keepTurns, model }: CompactionPolicy,
  state: RunState,
): Promise<CompactionResult> {
  const input = { ...modelInput(state), keepTurns, ...(model ? { model } : {}) };
  const options = { ...modelOptions, summary: `compaction before turn ${state.turn}` };
  return runPawlActivity('pawl.compact', input, options);
}

function modelInput(state: RunState): Parameters<PawlActivities['pawl.model']>[0] {
  const { agent } = state;
  assert(agent, 'the model is called once the agent is open');
  return {
    v: 1,
    address: addressOf(state, state.turn),
    runKey: state.runKey,
    agent: agent.name,
    agentHash: agent.hash,
    seq: state.seq,
    // A worker of the build before would read such a result in its own way: it fails the task, and leaves it to this build.
    canWait: patched('pawl.unused-answers'),
    ...(state.session ? { session: true } : {}),
    ...(agent.hasAgents ? { depthLeft: depthLeft(state) } : {}),
  };
}

function addressOf(
  { tenant, rootKey, path, generation }: RunState,
  turn: number,
): Extract<ToolActivityInput, { kind: 'calls' }>['address'] {
  return { tenant, rootKey, path, turn, generation };
}

function openInput({
  tenant,
  runKey,
  rootKey,
  agentName,
}: RunState): Parameters<PawlActivities['pawl.open']>[0] {
  return { v: 1, tenant, runKey, rootKey, agent: agentName };
}
