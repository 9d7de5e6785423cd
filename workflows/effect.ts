// effect(): exactly-once effects in any Temporal workflow, without the agent loop.
import { ApplicationFailure, CancellationScope, workflowInfo } from '@temporalio/workflow';
import { LOCAL_TIMEOUT_MAX_MS, type ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import { FailureType } from '../domain/rules/failure.ts';
import { DEFAULT_TENANT } from '../domain/rules/ids.ts';
import type { Json } from '../domain/rules/json.ts';
import type { AnyTool, ToolInput, ToolOutput } from '../domain/schemas/define-tool.ts';
import { executionMemory } from './execution-memory.ts';
import { seqSeenOf, type SettledStep, settleStep, type StepTool } from './settle-step.ts';

export interface EffectOptions {
  /** The tool's own `timeout`, in milliseconds, when `effect` is given only its name. @default 30_000, 2_000 if `local` */
  readonly timeoutMs?: number;
  /**
   * The tool's own `local`, when `effect` is given only its name. Another value is another history: `patched()` keeps
   * the runs in flight. @default false
   */
  readonly local?: boolean;
  /** @default 'default' */
  readonly tenant?: string;
}

/** Where a step stands. Both parts must be the same in every execution of the same business process. */
export interface StepAddress {
  /** Minted where the process began and passed down; never Temporal's run id. */
  readonly runKey: string;
  /** Names the step within the process. @default the tool's name and how often it was called, as in `refund#2` */
  readonly step?: string;
}

/** Calls the tool as an effect. Throws an `ApplicationFailure`: `Effect.Refused` for a definite no. */
export type EffectCall<T> = (input: ToolInput<T>, at: StepAddress) => Promise<ToolOutput<T>>;

/**
 * `const refundOnce = effect<typeof refund>('refund')`, with `import type { refund }`: nothing of the tool enters the
 * sandbox. A doubt is waited out: `pawl settle` wakes the workflow.
 */
export function effect<T extends AnyTool>(
  tool: string | Pick<T, 'name' | 'timeoutMs' | 'local'>,
  options: EffectOptions = {},
): EffectCall<T> {
  const stepTool = typeof tool === 'string' ? toStepTool(tool, options) : tool;
  const { name } = stepTool;
  return async (input, at) => {
    const step = at.step ?? nextStepName(name, at.runKey);
    const address = {
      tenant: options.tenant ?? DEFAULT_TENANT,
      rootKey: at.runKey,
      path: [],
      turn: 0,
      call: step,
      generation: 0,
    };
    const activityInput: ToolActivityInput = {
      v: 1,
      kind: 'step',
      address,
      runKey: at.runKey,
      input: input as Json,
      seq: seqSeenOf(at.runKey),
    };
    return CancellationScope.nonCancellable(
      async () => outputOf(await settleStep(stepTool, activityInput)) as ToolOutput<T>,
    );
  };
}

/** Throws a `TypeError` for a local tool that would hold its workflow task too long. */
function toStepTool(name: string, { local = false, timeoutMs }: EffectOptions): StepTool {
  if (local && (timeoutMs ?? 0) > LOCAL_TIMEOUT_MAX_MS) {
    throw new TypeError(
      `effect("${name}"): a local tool's timeoutMs is at most ${LOCAL_TIMEOUT_MAX_MS}, not ${timeoutMs}`,
    );
  }
  return { name, local, timeoutMs: timeoutMs ?? (local ? LOCAL_TIMEOUT_MAX_MS : 30_000) };
}

function nextStepName(name: string, runKey: string): string {
  if (workflowInfo().continuedFromExecutionRunId) {
    throw ApplicationFailure.nonRetryable(
      `effect("${name}"): after continue-as-new the calls are counted anew, so name each one: ` +
        "{ runKey, step: 'refund of order 7' }",
      FailureType.EffectArgumentsDiffer,
    );
  }
  const key = `${name}\n${runKey}`;
  const { counts } = executionMemory();
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return `${name}#${count}`;
}

function outputOf(end: SettledStep): Json {
  switch (end.kind) {
    case 'applied':
      return end.output;
    case 'refused':
      throw ApplicationFailure.nonRetryable(end.message, FailureType.EffectRefused, end.code);
    case 'failed':
      throw ApplicationFailure.nonRetryable(end.message, FailureType.ToolFailed);
  }
}
