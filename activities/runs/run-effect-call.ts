// One effect of an agent run: the engine under the run's own authority, and what the workflow is told of its end.
import type { Context } from '@temporalio/activity';
import type { EffectOutcome, ToolActivityInput } from '../../domain/rules/effect-outcome.ts';
import { effectId } from '../../domain/rules/ids.ts';
import { type CallResult, endOfRefusal } from '../../domain/rules/run.ts';
import { claimOf } from '../effects/claim.ts';
import type { IsGivenUp } from '../heartbeat.ts';
import { rolledBack } from '../ledger/rolled-back.ts';
import { requireTool } from './agent-registry.ts';
import { createAuthority } from './authority.ts';
import { requireOwnRun, toClaim } from './backing.ts';
import type { RunDeps } from './run-deps.ts';

/** One attempt of the activity. */
export interface CallAttempt {
  readonly deps: RunDeps;
  readonly input: Extract<ToolActivityInput, { kind: 'calls' }>;
  readonly context: Context;
  readonly isGivenUp: IsGivenUp;
}

/** Carries the effect of a call as far as it can be now. */
export async function runEffectCall(
  { deps, input, context, isGivenUp }: CallAttempt,
  { call, tool: name }: { readonly call: string; readonly tool: string },
): Promise<CallResult> {
  const tool = requireTool(deps, name);
  const { address, runKey } = input;
  const { tenant, rootKey } = address;
  const origin = await requireOwnRun(deps, toClaim(runKey, address));
  if (!origin) throw rolledBack('the ledger does not know it');
  const { agent, requester } = origin;
  const id = effectId({ ...address, call });
  const outcome = await deps.engine.perform({
    tool,
    tenant,
    id,
    stored: deps.storedEffects.take(tenant, id),
    rootKey,
    expects: { runKey, rootKey, tool: tool.name, compensates: null },
    claim: claimOf(context.info, tool, input),
    seqSeen: input.seq,
    isGivenUp,
    authority: createAuthority(deps, { tool, tenant, runKey, agent, requester }),
  });
  await deps.crash('before-return', tool.name);
  return toCallResult(outcome);
}

/** What the workflow is told: how the call ended, never what it returned. */
export function toCallResult(outcome: EffectOutcome): CallResult {
  switch (outcome.kind) {
    case 'applied':
      return { kind: 'ended', end: 'applied', seq: outcome.seq };
    case 'refused':
      return { kind: 'ended', end: endOfRefusal(outcome.code), seq: outcome.seq };
    case 'failed':
      return { kind: 'ended', end: 'failed', seq: outcome.seq };
    case 'in_doubt':
      return { kind: 'in_doubt', reason: outcome.reason, seq: outcome.seq };
    case 'pending':
      return { kind: 'pending', seq: outcome.seq };
    case 'awaiting_approval':
      return { kind: 'awaiting_approval', approval: outcome.approval };
    case 'paused':
    case 'unrecorded':
      return outcome;
  }
}
