// The package root: what a user writes agents and tools with; safe to import anywhere, a sandbox included.
export { defineAgent, modelConfigSchema } from './schemas/define-agent.ts';
export type { Agent, AgentOptions, ModelConfig } from './schemas/define-agent.ts';
export type { Compensate } from './schemas/compensation.ts';
export { defineTool } from './schemas/define-tool.ts';
export type {
  Amount,
  AnyTool,
  EffectDeclaration,
  Tool,
  ToolInput,
  ToolOptions,
  ToolOutput,
} from './schemas/define-tool.ts';
export { AmbiguousAnswer, httpEffect } from './schemas/http-effect.ts';
export type { HttpEffectOptions, HttpRequest } from './schemas/http-effect.ts';
export {
  absent,
  found,
  isPending,
  isRefusal,
  pending,
  PendingError,
  refused,
  RefusedError,
  unclear,
} from './schemas/outcomes.ts';
export type { ProbeResult } from './schemas/outcomes.ts';
export type { LedgerTransaction, ProbeContext, ToolContext } from './schemas/tool-context.ts';
export { Contract } from './rules/contract.ts';
export { EffectStatus } from './rules/effect.ts';
export { FailureType } from './rules/failure.ts';
export type { RunResult } from './rules/run.ts';
export type { Duration } from './rules/durations.ts';
export type { Json } from './rules/json.ts';
