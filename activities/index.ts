// The activities that a worker registers: names are a pinned ABI, see workflows/activity-options.ts.
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { EffectOutcome, ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import { enveloped } from '../domain/rules/envelope.ts';
import { FailureType } from '../domain/rules/failure.ts';
import type { Json } from '../domain/rules/json.ts';
import type { ChildEnd, CompactionResult, ModelStepResult } from '../domain/rules/run.ts';
import { withHeartbeat } from './heartbeat.ts';
import { judgeFailures } from './judged-failures.ts';
import { backed } from './runs/backed-activities.ts';
import { countingRefusals } from './runs/backing.ts';
import { type CloseInput, closeRun, type ParkInput, parkRun } from './runs/close-run.ts';
import {
  type Compensable,
  type CompensableInput,
  listCompensable,
  runCompensation,
} from './runs/run-compensation.ts';
import { type CompactInput, compactRun } from './runs/compact-run.ts';
import {
  type ChildrenInput,
  collectChildren,
  openChildren,
  type OpenedChildren,
} from './runs/children.ts';
import { modelStep } from './runs/model-step.ts';
import type { ModelStepInput } from './runs/model-step-input.ts';
import { type OpenInput, type OpenResult, openRun } from './runs/open-run.ts';
import { type CallResults, runCalls } from './runs/run-calls.ts';
import type { RunDeps } from './runs/run-deps.ts';
import { runStep } from './runs/run-step.ts';
import { sweep, type SweepDeps, type WholeSweepReport } from './runs/sweep.ts';
import { writeBack, type WriteBackInput } from './runs/write-back.ts';

export type { WriteBackInput };

/** The fixed activities; tools are registered beside them as `tool.<name>`. */
export interface PawlActivities {
  'pawl.open': (input: OpenInput) => Promise<OpenResult>;
  'pawl.model': (input: ModelStepInput) => Promise<ModelStepResult>;
  /** Puts a summary in the place of what lies back. */
  'pawl.compact': (input: CompactInput) => Promise<CompactionResult>;
  /** The rows of the sub-agents that a turn's calls start. */
  'pawl.openChildren': (input: ChildrenInput) => Promise<OpenedChildren>;
  /** Which of them have ended, by call. */
  'pawl.collectChildren': (input: ChildrenInput) => Promise<Readonly<Record<string, ChildEnd>>>;
  'pawl.close': (input: CloseInput) => Promise<Json>;
  'pawl.park': (input: ParkInput) => Promise<void>;
  /** Stores outcomes that travelled through history while the ledger was down; returns the ledger's sequence. */
  'pawl.writeBack': (input: WriteBackInput) => Promise<number>;
  'pawl.reconcile': (input: { readonly v: 1 }) => Promise<WholeSweepReport>;
  /** What a run has done and not undone yet, the last first. */
  'pawl.compensable': (input: CompensableInput) => Promise<readonly Compensable[]>;
}

/** `tool.<name>`: one effect, or several reads. */
export type ToolActivity = (input: ToolActivityInput) => Promise<CallResults | EffectOutcome>;

/** Builds every activity of a worker. */
export function createActivities(
  deps: RunDeps,
  reconciler: Pick<SweepDeps, 'workflows' | 'sweeper'>,
): Record<string, AnyActivity> {
  const fixed: PawlActivities = backed(deps, {
    'pawl.open': (input) => openRun(deps, input),
    'pawl.model': (input) => modelStep(deps, input),
    'pawl.compact': (input) => compactRun(deps, input),
    'pawl.openChildren': (input) => openChildren(deps, input),
    'pawl.collectChildren': (input) => collectChildren(deps, input),
    'pawl.close': (input) => closeRun(deps, input),
    'pawl.park': (input) => parkRun(deps, input),
    'pawl.writeBack': (input) => writeBack(deps, input),
    'pawl.reconcile': () => sweep({ ...deps, ...reconciler, tools: deps.registry.tools }),
    'pawl.compensable': (input) => listCompensable(deps, input),
  });
  const tools = [...deps.registry.tools.keys()].map((name): [string, ToolActivity] => [
    `tool.${name}`,
    (input) => performTool(deps, name, input),
  ]);
  const reads = (input: Extract<ToolActivityInput, { kind: 'calls' }>): Promise<CallResults> =>
    runCalls(deps, input);
  const plain = { ...beating({ ...fixed }), ...Object.fromEntries(tools), 'tool.reads': reads };
  const counted = wrapEach(
    plain,
    (activity, name) => (input) => countingRefusals(deps.database, name, () => activity(input)),
  );
  const judged = judging(counted, deps.random);
  return { ...envelopeResults(deps.crash, judged), default: toolUnavailable };
}

/** A hook that throws has nobody left to tell. */
async function pass(crash: RunDeps['crash'], name: string): Promise<void> {
  await Promise.resolve(name.replace(/^tool\./, ''))
    .then((subject) => crash('after-return', subject))
    .catch(() => undefined);
}

function performTool(
  deps: RunDeps,
  name: string,
  input: ToolActivityInput,
): Promise<CallResults | EffectOutcome> {
  switch (input.kind) {
    case 'calls':
      return runCalls(deps, input, name);
    case 'step':
      return runStep(deps, name, input);
    case 'compensate':
      return runCompensation(deps, name, input);
  }
}

type AnyActivity = (input: never) => Promise<unknown>;
type Activities = Readonly<Record<string, AnyActivity>>;

/** All of an activity beats, its statements too: a database that stands still is no dead worker, and nothing is asked twice. */
function beating(activities: Activities): Activities {
  return wrapEach(
    activities,
    (activity) => (input) => withHeartbeat(Context.current(), () => activity(input)),
  );
}

/** Nothing of ours is tried again for ever without a word. */
function judging(activities: Activities, random: () => number): Activities {
  return wrapEach(
    activities,
    (activity, name) => (input) =>
      judgeFailures({ context: Context.current(), activity: name, random }, () => activity(input)),
  );
}

/** Every result crosses the boundary in the same envelope. */
function envelopeResults(crash: RunDeps['crash'], activities: Activities): Activities {
  return wrapEach(activities, (activity, name) => async (input) => {
    const result = enveloped(await activity(input));
    // Behind the answer to Temporal's SDK: whether the server has heard it is open.
    setImmediate(() => void pass(crash, name));
    return result;
  });
}

function wrapEach(
  activities: Activities,
  wrap: (activity: AnyActivity, name: string) => AnyActivity,
): Activities {
  const entries = Object.entries(activities);
  return Object.fromEntries(entries.map(([name, activity]) => [name, wrap(activity, name)]));
}

/** Answers for activity types that this build does not have, instead of leaving them to time out. */
function toolUnavailable(): Promise<never> {
  throw ApplicationFailure.nonRetryable(
    "This worker's build does not have the tool that this run asks for. Deploy one that does, then `pawl resume`.",
    FailureType.ToolUnavailable,
  );
}
