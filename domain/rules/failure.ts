// The failure types that cross a Temporal boundary (a pinned ABI); the classification table is in classify.ts.

/** The strings in `ApplicationFailure.type`. Never rename one: histories and users' code hold them. */
export const FailureType = {
  ModelRateLimited: 'Model.RateLimited',
  ModelOverloaded: 'Model.Overloaded',
  ModelUnavailable: 'Model.Unavailable',
  ModelAuthentication: 'Model.Authentication',
  ModelQuotaExhausted: 'Model.QuotaExhausted',
  ModelRequestInvalid: 'Model.RequestInvalid',
  ModelContextOverflow: 'Model.ContextOverflow',
  ModelAnswerInvalid: 'Model.AnswerInvalid',
  ModelNotConfigured: 'Model.NotConfigured',
  ToolFailed: 'Tool.Failed',
  ToolUnavailable: 'Tool.Unavailable',
  ToolInputInvalid: 'Tool.InputInvalid',
  CodeInvalid: 'Code.Invalid',
  EffectAmbiguous: 'Effect.Ambiguous',
  EffectRefused: 'Effect.Refused',
  EffectBlocked: 'Effect.Blocked',
  EffectArgumentsDiffer: 'Effect.ArgumentsDiffer',
  EffectNotSent: 'Effect.NotSent',
  LedgerUnavailable: 'Ledger.Unavailable',
  LedgerRolledBack: 'Ledger.RolledBack',
  AuthorityRefused: 'Authority.Refused',
  RunCancelled: 'Run.Cancelled',
  AgentUnknown: 'Agent.Unknown',
  PolicyUnavailable: 'Policy.Unavailable',
  WorkerDied: 'Worker.Died',
  WorkerStopped: 'Worker.Stopped',
  StepFailed: 'Step.Failed',
} as const;
export type FailureType = (typeof FailureType)[keyof typeof FailureType];
