// The agents and tools that this worker's build offers, with their policies loaded and their descriptions hashed.
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { FailureType } from '../../domain/rules/failure.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { AgentPin, ToolPin } from '../../domain/rules/run.ts';
import type { ToolDescription } from '../../domain/rules/transcript.ts';
import type { Agent } from '../../domain/schemas/define-agent.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { fingerprint, toJson } from '../effects/fingerprint.ts';
import { loadPolicy } from '../policy/cedar-policy.ts';
import type { Policy } from '../policy/policy.ts';

/** An agent as this build offers it. */
export interface RegisteredAgent {
  readonly agent: Agent;
  readonly policy: Policy;
  readonly description: AgentDescription;
  readonly pin: AgentPin;
}

/** What a run pins at its start and the model is shown until the run's end, whatever is deployed meanwhile. */
export interface AgentDescription {
  readonly v: 1;
  readonly name: string;
  readonly instructions: string;
  readonly model: { readonly primary: string; readonly fallbacks: readonly string[] };
  readonly tools: readonly ToolDescription[];
  /** JSON Schema of the last answer; null: free text. */
  readonly outputSchema: Json;
  readonly maxOutputTokens: number;
  /** Calls of one answer that are looked at; absent in descriptions of older builds. */
  readonly maxCalls?: number;
  readonly approvalExpiryMs: number;
}

export interface AgentRegistry {
  readonly agents: ReadonlyMap<string, RegisteredAgent>;
  readonly tools: ReadonlyMap<string, AnyTool>;
  /** Of those, what plain workflows may use: `createWorker({ tools })` and what undoes them. */
  readonly stepTools: ReadonlySet<string>;
}

/** Loads every policy, before any task is polled. */
export async function createAgentRegistry(
  given: readonly Agent[],
  looseTools: readonly AnyTool[] = [],
): Promise<AgentRegistry> {
  const agents = withSubAgents(given);
  const tools = new Map<string, AnyTool>();
  for (const tool of [...agents.flatMap((agent) => agent.tools), ...looseTools]) {
    const known = tools.get(tool.name);
    if (known && known !== tool)
      throw new TypeError(`Two different tools are named "${tool.name}"`);
    tools.set(tool.name, tool);
    if (tool.compensation) tools.set(tool.compensation.name, tool.compensation);
  }
  const registered = new Map<string, RegisteredAgent>();
  for (const agent of agents) {
    if (registered.has(agent.name)) throw new TypeError(`Two agents are named "${agent.name}"`);
    registered.set(agent.name, await register(agent));
  }
  const stepTools = looseTools.flatMap(({ name, compensation }) => [
    name,
    ...(compensation ? [compensation.name] : []),
  ]);
  return { agents: registered, tools, stepTools: new Set(stepTools) };
}

/** Every agent once, its sub-agents behind it. */
function withSubAgents(agents: readonly Agent[]): readonly Agent[] {
  const found = new Set<Agent>();
  const add = (agent: Agent): void => {
    if (found.has(agent)) return;
    found.add(agent);
    agent.agents.forEach(add);
  };
  agents.forEach(add);
  return [...found];
}

async function register(agent: Agent): Promise<RegisteredAgent> {
  const description: AgentDescription = {
    v: 1,
    name: agent.name,
    instructions: agent.instructions,
    model: agent.model,
    tools: [...agent.tools.map(describeTool), ...agent.agents.map(describeAgent)],
    outputSchema: agent.output ? toJsonSchema(agent.output) : null,
    maxOutputTokens: agent.maxOutputTokens,
    maxCalls: agent.maxCalls,
    approvalExpiryMs: agent.approvalExpiryMs,
  };
  const pins = agent.tools.map((tool): [string, ToolPin] => [
    tool.name,
    {
      contract: tool.contract,
      timeoutMs: tool.timeoutMs,
      parallel: tool.parallel,
      ...(tool.local ? { isLocal: true } : {}),
    },
  ]);
  const pin: AgentPin = {
    name: agent.name,
    hash: fingerprint(description),
    tools: Object.fromEntries(pins),
    budget: agent.budget,
    ...(agent.agents.length > 0 ? { hasAgents: true } : {}),
    ...(agent.compaction ? { compaction: agent.compaction } : {}),
  };
  return { agent, policy: await loadPolicy(agent.policy), description, pin };
}

/** The tool in this build; the `default` activity answers for one that it no longer has. */
export function requireTool(
  { registry }: { readonly registry: AgentRegistry },
  name: string,
): AnyTool {
  const tool = registry.tools.get(name);
  if (tool) return tool;
  throw ApplicationFailure.nonRetryable(
    `This worker's build has no tool "${name}". Deploy a build that has it, then \`pawl resume\` the run.`,
    FailureType.ToolUnavailable,
  );
}

/** What the model is shown of a tool. */
export function describeTool(tool: AnyTool): ToolDescription {
  return {
    name: tool.name,
    description: tool.description,
    inputSchema: toJsonSchema(tool.input),
  };
}

/** A sub-agent is shown to the model as a tool that takes its input. */
function describeAgent({ name, description, input }: Agent): ToolDescription {
  return { name, description: description ?? '', inputSchema: toJsonSchema(input) };
}

// A tool never changes: asked at every send, made once.
const pins = new WeakMap<AnyTool, string>();

/** What an approval is bound to besides the arguments: a tool that means something else asks again. */
export function toolPin(tool: AnyTool): string {
  const pin = pins.get(tool) ?? fingerprint({ ...describeTool(tool), contract: tool.contract });
  pins.set(tool, pin);
  return pin;
}

/** JSON Schema of a zod schema's input side; what JSON Schema cannot say accepts anything: zod has the last word. */
export function toJsonSchema(schema: z.ZodType): Json {
  return toJson(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
}
