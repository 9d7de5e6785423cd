// Turns a proposed call of a sub-agent into a run key: arguments parsed, policy asked, depth and number limited.
import { CHILDREN_DEFAULT } from '../../domain/rules/children.ts';
import type { ToolCallPart } from '../../domain/rules/transcript.ts';
import type { Agent } from '../../domain/schemas/define-agent.ts';
import { childRunKey } from './children.ts';
import {
  type CallContext,
  carryArguments,
  preScreen,
  type Proposal,
  proposeCall,
  refuse,
} from './propose-call.ts';
import type { RunDeps } from './run-deps.ts';

/** What a run may still start below it. */
interface ChildRoom {
  readonly depthLeft: number;
  readonly childrenLeft: number;
}

/** Judges every call of an answer, those of sub-agents against what the run may still start. */
export async function proposeAll(
  deps: RunDeps,
  context: CallContext,
  parts: readonly ToolCallPart[],
  depthLeft = 0,
): Promise<readonly Proposal[]> {
  const { agents } = context.registered.agent;
  const asked = parts.map((part) => agents.find(({ name }) => name === part.name));
  const room = asked.some(Boolean) ? await readRoom(deps, context, depthLeft) : NO_ROOM;
  return Promise.all(
    parts.map((part, index) => {
      const agent = asked[index];
      const before = asked.slice(0, index).filter(Boolean).length;
      return agent
        ? proposeChild(context, agent, part, String(index), room, before)
        : proposeCall(context, part, String(index));
    }),
  );
}

const NO_ROOM: ChildRoom = { depthLeft: 0, childrenLeft: 0 };

/** How many sub-agents the run may still start. */
async function readRoom(
  deps: RunDeps,
  { registered: { agent }, address, runKey }: CallContext,
  depthLeft: number,
): Promise<ChildRoom> {
  const [row] = await deps.database.query<{ count: number }>(
    `select count(*)::integer as count from pawl.calls
     where tenant = $1 and run_key = $2 and child_run_key is not null`,
    [address.tenant, runKey],
  );
  const max = agent.budget.children ?? CHILDREN_DEFAULT;
  return { depthLeft, childrenLeft: max - (row?.count ?? 0) };
}

/** Judges one call; `before` are the calls of sub-agents in front of it in the same answer. */
async function proposeChild(
  context: CallContext,
  agent: Agent,
  part: ToolCallPart,
  call: string,
  { depthLeft, childrenLeft }: ChildRoom,
  before: number,
): Promise<Proposal> {
  const input = await carryArguments(agent.input, part);
  if (input.kind !== 'valid')
    return refuse(part, call, 'invalid', 'invalid_arguments', input.problem);
  if (depthLeft <= 0) {
    const message = 'sub-agents may not go any deeper here: do it yourself';
    return refuse(part, call, 'invalid', 'too_deep', message);
  }
  if (before >= childrenLeft) {
    const message = 'this run has started all the sub-agents that it may: do it yourself';
    return refuse(part, call, 'invalid', 'too_many_agents', message);
  }
  const asRead = { name: agent.name, contract: 'read' } as const;
  const verdict = await preScreen(context, asRead, input.shown, null);
  if (verdict.kind === 'forbid') {
    const why = verdict.message ?? `forbidden by rule ${verdict.rule}`;
    return refuse(part, call, 'forbid', verdict.rule, why);
  }
  const runKey = childRunKey(context.runKey, { ...context.address, call });
  return {
    part,
    call,
    proposed: {
      tool: agent.name,
      verdict: 'permit',
      rule: verdict.rule,
      summary: `${agent.name} · sub-agent ${runKey}`,
      child: { runKey, agent: agent.name },
    },
  };
}
