// defineAgent: an agent as data. The shipped workflow interprets it; none of its code enters the sandbox.
import { z } from 'zod';
import { CHILDREN_DEFAULT, DEPTH_DEFAULT } from '../rules/children.ts';
import { type Duration, toMs } from '../rules/durations.ts';
import type { Budget, CompactionPolicy } from '../rules/run.ts';
import { requireCarried, rootProblem } from './check-schema.ts';
import type { AnyTool } from './define-tool.ts';

/** `provider/model`, as in `anthropic/claude-sonnet-5-5`. */
const modelReference = z
  .string()
  .regex(
    /^[a-z0-9-]+\/.+$/,
    'a model is written provider/model, as in "anthropic/claude-sonnet-5-5"',
  );

/** S1-03: the primary and, in order, what takes over. */
export const modelConfigSchema = z.strictObject({
  primary: modelReference,
  fallbacks: z.array(modelReference).default([]),
});
export type ModelConfig = z.infer<typeof modelConfigSchema>;

const decimal = z
  .string()
  .regex(/^\d+(\.\d{1,6})?$/, 'an amount is a decimal string, as in "0.50"');
const duration = z.custom<Duration>(isDuration, 'a duration is a number and ms, s, m, h or d');

/** What a run may use up; anything left out has the default. */
export const budgetSchema = z.strictObject({
  turns: z.number().int().positive().default(20),
  usd: decimal.default('1.00'),
  deadline: duration.default('7d'),
  denials: z.number().int().positive().default(5),
  repeats: z.number().int().min(2).default(4),
  depth: z.number().int().nonnegative().default(DEPTH_DEFAULT),
  children: z.number().int().positive().default(CHILDREN_DEFAULT),
});

/** Above this the calls of one answer would not fit into Temporal's history. */
const maxCallsSchema = z.number().int().min(1).max(1_000).default(128);

/** When a summary takes the place of what lies back; at least one of `tokens` and `turns`. */
export const compactionSchema = z
  .strictObject({
    tokens: z.number().int().positive().optional(),
    turns: z.number().int().min(2).optional(),
    keepTurns: z.number().int().positive().default(4),
    model: modelReference.optional(),
  })
  .refine(({ tokens, turns }) => tokens ?? turns, 'compaction needs `tokens`, `turns` or both');

export interface AgentOptions<Input, Output> {
  /** `[a-z][a-z0-9-]*`: it becomes part of the CLI's and the UI's words. */
  readonly name: string;
  /** Its defaults and transforms are applied: the model is told what comes out, as JSON. */
  readonly input: z.ZodType<Input>;
  /** What the last answer must match, as JSON, and what it becomes: defaults are applied. Absent: free text. */
  readonly output?: z.ZodType<Output>;
  readonly instructions: string;
  readonly tools: readonly AnyTool[];
  /** What it is for, as the model of another agent is told: a sub-agent needs one. */
  readonly description?: string;
  /**
   * Agents that its model may call like tools: each call is a run of its own, with its own history, transcript and
   * approvals, within what this run has left of its budget. Their input must be an object.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- an agent's types are its own business
  readonly agents?: readonly Agent<any, any>[];
  readonly model: z.input<typeof modelConfigSchema>;
  /** Path of a Cedar policy; absent: reads permitted, effects need an approval. */
  readonly policy?: string;
  readonly budget?: z.input<typeof budgetSchema>;
  /**
   * A long run is summarised by the model itself: before a turn whose last request and answer were `tokens` or more, or
   * after `turns`; the last `keepTurns` (4) stay word for word. @default never: the model is shown everything
   */
  readonly compaction?: z.input<typeof compactionSchema>;
  /**
   * `allow`: a model without a known price is taken, its calls cost 0, and `budget.usd` never ends a run.
   * @default 'refuse' the worker does not start
   */
  readonly unpriced?: 'allow' | 'refuse';
  /** How long an approval may take. @default '24h' */
  readonly approvalExpiry?: Duration;
  /** @default 4096 */
  readonly maxOutputTokens?: number;
  /** Calls of one answer that are looked at; the rest is answered `too_many_calls`. @default 128 */
  readonly maxCalls?: number;
}

/** An agent as Pawl keeps it; make one with `defineAgent`. */
export interface Agent<Input = unknown, Output = unknown> {
  readonly kind: 'pawl.agent';
  readonly name: string;
  readonly input: z.ZodType<Input>;
  readonly output: z.ZodType<Output> | undefined;
  readonly instructions: string;
  readonly tools: readonly AnyTool[];
  readonly description: string | undefined;
  readonly agents: readonly Agent[];
  readonly model: ModelConfig;
  readonly policy: string | undefined;
  readonly budget: Budget;
  readonly compaction: CompactionPolicy | undefined;
  readonly approvalExpiryMs: number;
  readonly maxOutputTokens: number;
  readonly maxCalls: number;
  readonly unpriced: 'allow' | 'refuse';
}

/** Declares an agent. Throws a `TypeError` or a `ZodError` that names what is wrong. */
export function defineAgent<Input, Output = string>(
  options: AgentOptions<Input, Output>,
): Agent<Input, Output> {
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(options.name)) {
    throw new TypeError(`Agent "${options.name}": a name is lower case letters, digits and dashes`);
  }
  checkSchemas(options.name, options.input, options.output);
  const agents = (options.agents ?? []) as readonly Agent[];
  agents.forEach((agent) => checkSubAgent(options.name, agent));
  const names = [...options.tools, ...agents].map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice)
    throw new TypeError(`Agent "${options.name}": two tools or sub-agents are named "${twice}"`);
  const budget = budgetSchema.parse(options.budget ?? {});
  return {
    kind: 'pawl.agent',
    name: options.name,
    input: options.input,
    output: options.output,
    instructions: options.instructions,
    tools: options.tools,
    description: options.description,
    agents,
    model: modelConfigSchema.parse(options.model),
    policy: options.policy,
    budget: {
      turns: budget.turns,
      costMicroUsd: Math.round(Number(budget.usd) * 1_000_000),
      deadlineMs: toMs(budget.deadline),
      denials: budget.denials,
      repeats: budget.repeats,
      // Only where they mean something: the pin of an agent without sub-agents stays as it was.
      ...(agents.length > 0 ? { depth: budget.depth, children: budget.children } : {}),
    },
    compaction: options.compaction && compactionSchema.parse(options.compaction),
    approvalExpiryMs: toMs(options.approvalExpiry ?? '24h'),
    maxOutputTokens: options.maxOutputTokens ?? 4096,
    maxCalls: maxCallsSchema.parse(options.maxCalls),
    unpriced: options.unpriced ?? 'refuse',
  };
}

/** Nothing that is JSON could be its answer. */
const NOTHING = new Set(['undefined', 'void', 'never']);

function checkSchemas(name: string, input: unknown, output: unknown): void {
  requireCarried(`Agent "${name}": \`input\``, input);
  if (output === undefined) return;
  requireCarried(`Agent "${name}": \`output\``, output);
  const { type } = (output as z.core.$ZodType)._zod.def;
  if (!NOTHING.has(type)) return;
  throw new TypeError(
    `Agent "${name}": \`output\` is ${type}: no answer matches it; leave it away for free text`,
  );
}

function checkSubAgent(parent: string, { name, description, input }: Agent): void {
  if (!description) {
    throw new TypeError(
      `Agent "${parent}": its sub-agent "${name}" needs a \`description\`: the model is told by it what to ask it for`,
    );
  }
  if (rootProblem(input) !== undefined) {
    throw new TypeError(
      `Agent "${parent}": the input of its sub-agent "${name}" must be a z.object: models call with named arguments`,
    );
  }
}

function isDuration(value: unknown): boolean {
  try {
    return typeof value === 'string' && toMs(value) > 0;
  } catch {
    return false;
  }
}
