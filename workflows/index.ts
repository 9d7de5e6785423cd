// The package entry `pawl/workflows`: the workflows that a worker registers, and effect() for workflows of your own.
export { agentRun } from './agent-run.ts';
export type { AgentRunResult } from './agent-run.ts';
export { compensate, pawlCompensate } from './compensate.ts';
export type { CompensatedEffect, CompensateOptions, CompensationReport } from './compensate.ts';
export { effect } from './effect.ts';
export type { EffectCall, EffectOptions, StepAddress } from './effect.ts';
export { pawlReconciler } from './reconciler.ts';
