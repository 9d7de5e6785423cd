// The activity of an effect in a plain workflow: the same engine, with the intent made from the workflow's arguments.
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { EffectOutcome, ToolActivityInput } from '../../domain/rules/effect-outcome.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { attemptOf, claimOf } from '../effects/claim.ts';
import { type CarriedInput, carryInput } from '../effects/carried-input.ts';
import { type IsGivenUp, withHeartbeat } from '../heartbeat.ts';
import { effectId } from '../../domain/rules/ids.ts';
import { unbacked } from '../ledger/unbacked.ts';
import { callRead, cancelledRead, retryRead } from './call-read.ts';
import { codeInvalid, judgeTerms } from './judge-terms.ts';
import { storageProblem, toIntent } from './propose-call.ts';
import { requireTool } from './agent-registry.ts';
import type { RunDeps } from './run-deps.ts';

type StepInput = Extract<ToolActivityInput, { kind: 'step' }>;

/** Performs one effect (or read) of a plain workflow. */
export async function runStep(
  deps: RunDeps,
  name: string,
  step: StepInput,
): Promise<EffectOutcome> {
  const context = Context.current();
  const tool = requireTool(deps, name);
  requireStep(deps, name, step);
  return withHeartbeat(context, async (isGivenUp) => {
    const input = await carryStep(tool, step);
    return tool.contract === 'read'
      ? readStep(deps, tool, step, input.value, context)
      : effectStep(deps, tool, step, input, context, isGivenUp);
  });
}

/**
 * A plain workflow has this authority and no other: the tools that `createWorker({ tools })` gives it, with arguments of
 * its choice, at an address that no model step can have.
 */
function requireStep({ registry }: RunDeps, name: string, { address, runKey }: StepInput): void {
  if (!registry.stepTools.has(name)) {
    throw unbacked('step', `${name} is no tool of createWorker({ tools }): only agents have it`);
  }
  const { rootKey, path, turn, generation } = address;
  if (rootKey !== runKey || path.length > 0 || turn !== 0 || generation !== 0) {
    throw unbacked('step', `its address is not one of a plain workflow's steps`);
  }
}

async function effectStep(
  deps: RunDeps,
  tool: AnyTool,
  step: StepInput,
  input: CarriedInput,
  context: Context,
  isGivenUp: IsGivenUp,
): Promise<EffectOutcome> {
  const { address, runKey, seq } = step;
  const terms = judgeTerms(tool, input.value);
  const { workflowId } = context.info.workflowExecution ?? {};
  const intent = toIntent(tool, address, runKey, input, terms, workflowId);
  const outcome = await deps.engine.perform({
    tool,
    tenant: address.tenant,
    id: intent.id,
    rootKey: address.rootKey,
    intent,
    olderFingerprint: input.olderFingerprint,
    claim: claimOf(context.info, tool, step),
    seqSeen: seq,
    isGivenUp,
  });
  await deps.crash('before-return', tool.name);
  return outcome;
}

/** A read is repeated up to the tool's own limit: nothing of it is ledgered. */
async function readStep(
  deps: RunDeps,
  tool: AnyTool,
  step: StepInput,
  input: unknown,
  context: Context,
): Promise<EffectOutcome> {
  const { address, runKey } = step;
  const place = { tenant: address.tenant, runKey, id: effectId(address) };
  try {
    const judged = await callRead(deps, tool, place, input, context);
    return { kind: 'applied', ...judged, alreadyApplied: false, seq: 0 };
  } catch (error) {
    if (isRefusal(error))
      return { kind: 'refused', code: error.code, message: error.message, seq: 0 };
    if (context.cancellationSignal.aborted) throw cancelledRead(error);
    const attempt = attemptOf(context.info, step);
    if (attempt >= tool.sendsMax) return { kind: 'failed', message: describeThrown(error), seq: 0 };
    throw retryRead(tool, attempt, error, deps.random());
  }
}

/** Not retried where it is wrong: the same workflow would give the same again. */
async function carryStep(tool: AnyTool, { input }: StepInput): Promise<CarriedInput> {
  const problem = storageProblem(input);
  const carried: Awaited<ReturnType<typeof carryInput>> =
    problem === undefined
      ? await carryInput(tool.input, input)
      : { kind: 'invalid', problem: `input: ${problem}` };
  if (carried.kind === 'valid') return carried;
  if (carried.kind === 'threw') {
    throw codeInvalid(`Tool "${tool.name}": \`input\``, `cannot judge a step: ${carried.problem}`);
  }
  throw ApplicationFailure.nonRetryable(
    `${tool.name}: the input does not match its schema: ${carried.problem}`,
    FailureType.ToolInputInvalid,
  );
}
