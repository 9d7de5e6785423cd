// Which agents and tools there are: what the workers have written about themselves.
import { z } from 'zod';
import type { Contract } from '../domain/rules/contract.ts';
import type { Json } from '../domain/rules/json.ts';
import type { ModelConfig } from '../domain/schemas/define-agent.ts';
import type { ClientContext } from './context.ts';
import { AgentInputInvalidError, AgentUnknownError } from './errors.ts';

/** A worker that was not seen for longer is taken for gone. */
export const WORKER_LIVE_MS = 60_000;

/** A tool as a worker describes it. */
export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  readonly contract: Contract;
  readonly keyRetentionMs?: number | null;
  readonly hasProbe: boolean;
  readonly hasIdentity: boolean;
  readonly timeoutMs: number;
  readonly sendsMax: number;
  readonly parallel: boolean;
  /** It has a `compensate`: what it did can be undone. */
  readonly canCompensate?: boolean;
  readonly callsPerRunMax?: number | null;
  /** The only hosts that it may reach. @default those of the agent */
  readonly egress?: readonly string[];
  /** Of an answer to it. */
  readonly maxAnswerBytes?: number;
  /** Its first attempt runs inside of the workflow task. @default false */
  readonly local?: boolean;
  /** What a reader of the declaration should think about, such as an effect without identity. */
  readonly warnings: readonly string[];
}

/** An agent as a worker describes it: the shape of `pawl.workers.agents`. */
export interface AgentDescription {
  readonly hash: string;
  readonly inputSchema: Json;
  readonly model: ModelConfig;
  /** The only hosts that the worker lets its tools reach (PAWL_EGRESS_ALLOW). @default every public one */
  readonly egress?: readonly string[];
  readonly tools: readonly ToolDescription[];
}

/** One description of an agent; two when workers of two builds are live. */
export interface AgentView extends AgentDescription {
  readonly agent: string;
  /** Identities of the workers that offer exactly this. */
  readonly workers: readonly string[];
  /** False when every worker that offered it was last seen over a minute ago. */
  readonly isLive: boolean;
  readonly seenAt: Date;
}

export interface WorkerView {
  readonly identity: string;
  readonly taskQueue: string;
  readonly buildId: string;
  readonly agents: Readonly<Record<string, AgentDescription>>;
  readonly startedAt: Date;
  readonly seenAt: Date;
  /** Seen within the last minute, on the database's clock. */
  readonly isLive: boolean;
}

/** All workers that have not signed off, the last seen first. */
export function listWorkers({ database }: ClientContext): Promise<WorkerView[]> {
  return database.query<WorkerView>(
    `select identity, task_queue as "taskQueue", build_id as "buildId", agents,
       started_at as "startedAt", seen_at as "seenAt",
       seen_at > clock_timestamp() - make_interval(secs => $1) as "isLive"
     from pawl.workers order by seen_at desc, identity`,
    [WORKER_LIVE_MS / 1_000],
  );
}

/** What `pawl tools` prints: every agent that a worker of this task queue offers. */
export async function listAgents(context: ClientContext): Promise<AgentView[]> {
  const workers = await listWorkers(context);
  const views = new Map<string, AgentView>();
  for (const worker of workers.filter(({ taskQueue }) => taskQueue === context.taskQueue)) {
    for (const [agent, description] of Object.entries(worker.agents)) {
      const key = JSON.stringify([agent, description.hash]);
      const known = views.get(key);
      const { isLive, seenAt } = worker;
      views.set(key, {
        ...(known ?? { agent, ...description, isLive, seenAt }),
        workers: [...(known?.workers ?? []), worker.identity],
      });
    }
  }
  return [...views.values()].sort((a, b) => (a.agent < b.agent ? -1 : a.agent > b.agent ? 1 : 0));
}

/** The agent to start, or AgentUnknownError with the names that there are. */
export async function requireAgent(context: ClientContext, name: string): Promise<AgentView> {
  const agents = await listAgents(context);
  const mine = agents.filter(({ agent }) => agent === name);
  const [newest] = mine.sort((a, b) => b.seenAt.getTime() - a.seenAt.getTime());
  if (newest) return newest;
  const known = [...new Set(agents.map(({ agent }) => agent))];
  throw new AgentUnknownError(name, known, context.taskQueue);
}

/** Tells a user's mistake before anything is written; the worker parses again and is the authority. */
export function checkInput(agent: AgentView, input: Json): void {
  const schema = toSchema(agent.inputSchema);
  const parsed = schema?.safeParse(input);
  if (!parsed || parsed.success) return;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join('.')}: ${message}` : message,
  );
  throw new AgentInputInvalidError(agent.agent, problems, describeInput(agent.inputSchema));
}

const SHAPE_LETTERS_MAX = 300;

/** What a schema takes, in one line: `{ file: string, dryRun?: boolean }`. */
function describeInput(schema: Json): string {
  const shape = shapeOf(schema);
  return shape.length > SHAPE_LETTERS_MAX ? `${shape.slice(0, SHAPE_LETTERS_MAX)}…` : shape;
}

function shapeOf(schema: Json): string {
  if (typeof schema !== 'object' || schema === null || !('properties' in schema)) {
    const type = typeof schema === 'object' && schema !== null && 'type' in schema && schema.type;
    return typeof type === 'string' ? type : 'what its schema says';
  }
  const required = 'required' in schema && Array.isArray(schema.required) ? schema.required : [];
  const fields = Object.entries(schema.properties as Readonly<Record<string, Json>>).map(
    ([name, each]) => `${name}${required.includes(name) ? '' : '?'}: ${shapeOf(each)}`,
  );
  return `{ ${fields.join(', ')} }`;
}

/** A schema that this build cannot read is left to the worker. */
function toSchema(inputSchema: Json): z.ZodType | undefined {
  try {
    return z.fromJSONSchema(inputSchema as Parameters<typeof z.fromJSONSchema>[0]);
  } catch {
    return undefined;
  }
}
