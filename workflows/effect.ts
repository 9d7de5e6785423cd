// effect(): exactly-once effects in any Temporal workflow, without the agent loop.
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { EffectOutcome, ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import { FailureType } from '../domain/rules/failure.ts';
import { DEFAULT_TENANT } from '../domain/rules/ids.ts';
import type { Json } from '../domain/rules/json.ts';
import type { AnyTool, ToolInput, ToolOutput } from '../domain/schemas/define-tool.ts';
import { ledgerOptions, toolOptions } from './activity-options.ts';
import { settled } from './messages.ts';
import { runActivity, runPawlActivity } from './run-activity.ts';

export interface EffectOptions {
  /** The tool's own `timeout`, in milliseconds, when `effect` is given only its name. @default 30_000 */
  readonly timeoutMs?: number;
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

const DOUBT_LOOK_MS = 60_000;
const DOUBT_LOOK_MAX_MS = 3_600_000;

/**
 * `const refundOnce = effect<typeof refund>('refund')`, with `import type { refund }`: nothing of the tool enters the
 * sandbox. A doubt is waited out: `pawl settle` wakes the workflow.
 */
export function effect<T extends AnyTool>(
  tool: string | Pick<T, 'name' | 'timeoutMs'>,
  options: EffectOptions = {},
): EffectCall<T> {
  const { name, timeoutMs = options.timeoutMs ?? 30_000 } =
    typeof tool === 'string' ? { name: tool } : tool;
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
      seq: seqSeen.get(at.runKey) ?? 0,
    };
    return CancellationScope.nonCancellable(
      async () => (await settle(name, timeoutMs, activityInput)) as ToolOutput<T>,
    );
  };
}

// Workflow-local: each execution has module state of its own.
const counts = new Map<string, number>();
const seqSeen = new Map<string, number>();
let wakes = 0;

function nextStepName(name: string, runKey: string): string {
  if (workflowInfo().continuedFromExecutionRunId) {
    throw ApplicationFailure.nonRetryable(
      `effect("${name}"): after continue-as-new the calls are counted anew, so name each one: ` +
        "{ runKey, step: 'refund of order 7' }",
      FailureType.EffectArgumentsDiffer,
    );
  }
  const key = `${name}\n${runKey}`;
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return `${name}#${count}`;
}

async function settle(name: string, timeoutMs: number, input: ToolActivityInput): Promise<Json> {
  for (let lookMs = DOUBT_LOOK_MS; ; lookMs = Math.min(lookMs * 2, DOUBT_LOOK_MAX_MS)) {
    const outcome = await runActivity<EffectOutcome>(
      `tool.${name}`,
      input,
      toolOptions(timeoutMs, name),
    );
    if ('seq' in outcome) noteSeq(input.runKey, outcome.seq);
    switch (outcome.kind) {
      case 'applied':
        return outcome.output;
      case 'refused':
        throw ApplicationFailure.nonRetryable(
          outcome.message,
          FailureType.EffectRefused,
          outcome.code,
        );
      case 'failed':
        throw ApplicationFailure.nonRetryable(outcome.message, FailureType.ToolFailed);
      case 'unrecorded':
        await writeBack(input, outcome);
        break;
      case 'in_doubt':
      case 'awaiting_approval':
      case 'paused':
        await nextSettlement(lookMs);
    }
  }
}

function noteSeq(runKey: string, seq: number): void {
  seqSeen.set(runKey, Math.max(seq, seqSeen.get(runKey) ?? 0));
}

async function writeBack(
  input: ToolActivityInput,
  { effect: id, facts }: Extract<EffectOutcome, { kind: 'unrecorded' }>,
): Promise<void> {
  const { tenant } = input.address;
  noteSeq(
    input.runKey,
    await runPawlActivity('pawl.writeBack', { v: 1, tenant, effect: id, facts }, ledgerOptions),
  );
}

async function nextSettlement(lookMs: number): Promise<void> {
  const before = wakes;
  setHandler(settled, () => {
    wakes += 1;
  });
  await condition(() => wakes > before, lookMs);
}
