// Policy and approvals of an agent's call at the send: the evaluation that counts.
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Approval, Authority } from '../effects/gate.ts';
import type { EffectRecord } from '../ledger/effect-ledger.ts';
import { shownArguments } from '../effects/tool-run.ts';
import { askPolicy } from '../policy/ask-policy.ts';
import { PolicyUnavailableError } from '../policy/policy.ts';
import { type RegisteredAgent, toolPin } from './agent-registry.ts';
import { insertApproval } from './approvals.ts';
import { draftApproval } from './propose-call.ts';
import type { RunDeps } from './run-deps.ts';

export interface AuthorityScope {
  readonly tool: AnyTool;
  readonly tenant: string;
  readonly runKey: string;
  /** The run's own. */
  readonly agent: string;
  readonly requester: string;
}

/** The authority of one run over its calls; fails closed, when it is asked, where this build does not know the agent. */
export function createAuthority(deps: RunDeps, scope: AuthorityScope): Authority {
  const { tool, tenant, runKey, agent, requester } = scope;
  const requireAgent = (): RegisteredAgent => {
    const registered = deps.registry.agents.get(agent);
    if (registered) return registered;
    throw new PolicyUnavailableError(`this build has no policy for run ${runKey}`);
  };
  return {
    toolPin: toolPin(tool),
    policyHash: () => requireAgent().policy.hash,
    async evaluate(record) {
      const registered = requireAgent();
      return askPolicy(registered.policy, {
        tenant,
        agent: registered.agent.name,
        tool: tool.name,
        contract: tool.contract,
        arguments: await shownArguments(tool, record),
        amount: record.amount ?? undefined,
        runKey,
        isTainted: false,
        requester,
      });
    },
    ask: async (record, rule, requirement) =>
      ask(deps, { registered: requireAgent(), tool, record, requester }, rule, requirement),
  };
}

interface Question {
  readonly registered: RegisteredAgent;
  readonly tool: AnyTool;
  readonly record: EffectRecord;
  readonly requester: string;
}

async function ask(
  deps: RunDeps,
  { registered, tool, record, requester }: Question,
  rule: string,
  requirement: string,
): Promise<Approval> {
  const approval = draftApproval({ registered }, tool, record, { rule, requirement });
  const expiresAtMs = await deps.database.transaction((tx) =>
    insertApproval(tx, { registered, intent: record, approval, requester }),
  );
  return { id: approval.id, expiresAtMs };
}
