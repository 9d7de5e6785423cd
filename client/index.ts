// The package entry `pawl/client`: PawlClient, its errors and the shapes that it returns.
export { PawlClient } from './pawl-client.ts';
export * from './errors.ts';
export { RunStatus } from './run-views.ts';
export type { ClientOptions } from './settings.ts';
export type { AgentDescription, AgentView, ToolDescription } from './agents.ts';
export type { ApprovalView, DecisionView } from './approval-views.ts';
export type {
  ControlAnswer,
  ControlOptions,
  PauseAnswer,
  PauseOptions,
  SteerAnswer,
} from './control-run.ts';
export { createCallbackHandler } from './callback-handler.ts';
export type {
  CallbackHandler,
  CallbackHandlerOptions,
  CallbackReceiver,
  CallbackReport,
} from './callback-handler.ts';
export type {
  CallbackAnswer,
  CallbackMessage,
  CallbackReading,
  CallbackView,
} from './callbacks.ts';
export { toRequestListener } from './request-listener.ts';
export type { DecidedApproval, DecisionOptions } from './decide-approval.ts';
export type { CompensatedRun, CompensateRunOptions } from './compensate-run.ts';
export type { EffectView } from './effect-views.ts';
export type { EffectExplanation, EffectSibling, FactView, RequestView } from './explain-effect.ts';
export type { Fate, ForkedRun, ForkOptions } from './fork-run.ts';
export type { HealthCheck } from './health-check.ts';
export type { HealthReport } from './health.ts';
export type {
  ReconcileFinding,
  ReconcileOptions,
  ReconcileReport,
  StatementLine,
} from './reconcile-statement.ts';
export type { ComparedEffect } from './statement-page.ts';
export type { TranscriptOptions } from './read-transcript.ts';
export type { ResumeAnswer } from './resume-run.ts';
export type { ListOptions } from './run-list.ts';
export type { RunEvent } from './run-events.ts';
export type {
  CallView,
  CompactionView,
  MessageView,
  RunDetails,
  RunView,
  ShowOptions,
  TranscriptEntry,
  TurnView,
} from './run-views.ts';
export type { Reply, ReplyOptions } from './session.ts';
export type { SettleAnswer, SettlementView, SettleOptions } from './settle-effect.ts';
export type { StartedRun, StartOptions } from './start-run.ts';
export type { StuckRunView } from './stuck-runs.ts';
export type { AuditOptions, AuditProblem, AuditReport } from './audit-run.ts';
export { startCodecServer } from './codec-server.ts';
export type { CodecAccess, CodecServer, CodecServerOptions } from './codec-server.ts';
export type { GarbageOptions, GarbageReport } from './collect-garbage.ts';
export type { EraseAnswer, ErasedRun, EraseOptions, EraseTarget } from './erase-run.ts';
export type { RotateOptions, RotationReport } from './rotate-keys.ts';
export { createConfiguredKeys } from '../activities/encryption/encryption.ts';
export type { KeyContext, KeyProvider, WrappedKey } from '../activities/encryption/encryption.ts';
export type { Wake } from './temporal.ts';
export type { ApprovalsOptions, EffectsOptions, Listed } from './listings.ts';
export type { PageOptions } from './pages.ts';
export type { FinishedRun, WatchOptions } from './watch-run.ts';
