// What each method of PawlClient takes, field by field: a method or an option without a rule does not compile.
import { EffectStatus } from '../domain/rules/effect.ts';
import { RunEnd } from '../domain/rules/run.ts';
import type { AuditOptions } from './audit-run.ts';
import type { CallbackMessage } from './callbacks.ts';
import type { GarbageOptions } from './collect-garbage.ts';
import type { CompensateRunOptions } from './compensate-run.ts';
import type { ControlOptions, PauseOptions } from './control-run.ts';
import type { DecisionOptions } from './decide-approval.ts';
import type { EraseOptions } from './erase-run.ts';
import type { ForkOptions } from './fork-run.ts';
import type { ApprovalsOptions, EffectsOptions } from './listings.ts';
import type { PageOptions } from './pages.ts';
import type { PawlClient } from './pawl-client.ts';
import type { TranscriptOptions } from './read-transcript.ts';
import type { ReconcileOptions } from './reconcile-statement.ts';
import type { RotateOptions } from './rotate-keys.ts';
import type { ListOptions } from './run-list.ts';
import { RunStatus, type ShowOptions } from './run-views.ts';
import type { ReplyOptions } from './session.ts';
import type { SettleOptions } from './settle-effect.ts';
import type { StartOptions } from './start-run.ts';
import { checkField, listOf, oneOf, optional, recordOf, type Rule, rules } from './text-rules.ts';
import type { WatchOptions } from './watch-run.ts';

type Run = { readonly run: string };
type Session = { readonly session: string };

/** The arguments of each method as one object. */
export interface ArgumentsOf {
  start: { readonly agent: string; readonly input: unknown } & StartOptions;
  list: ListOptions;
  show: Run & ShowOptions;
  transcript: Run & TranscriptOptions;
  runKey: Run;
  result: Run & WatchOptions;
  watch: Run & WatchOptions;
  fork: Run & ForkOptions;
  compensate: Run & CompensateRunOptions;
  approvals: ApprovalsOptions;
  approve: { readonly approval: string } & DecisionOptions;
  deny: { readonly approval: string } & DecisionOptions;
  pause: Run & PauseOptions;
  resume: Run & ControlOptions;
  cancel: Run & ControlOptions;
  steer: Run & { readonly text: string } & ControlOptions;
  say: Session & { readonly text: string } & ControlOptions;
  reply: Session & ReplyOptions;
  endSession: Session & ControlOptions;
  effects: EffectsOptions;
  doubts: PageOptions;
  stuckRuns: PageOptions;
  each: PageOptions & {
    readonly kind: string;
    readonly run?: string | undefined;
    readonly status?: string | undefined;
  };
  settle: { readonly effect: string } & SettleOptions;
  receiveCallback: CallbackMessage;
  why: { readonly effect: string };
  reconcileStatement: ReconcileOptions;
  erase: { readonly run?: string; readonly subject?: string } & EraseOptions;
  verifyAudit: AuditOptions;
  collectGarbage: GarbageOptions;
  rotateKeys: RotateOptions;
  tools: object;
  requireAgent: { readonly name: string };
  doctor: object;
  history: Run;
}

/** `close` has nothing to check. */
type Methods = Exclude<keyof PawlClient, 'close'>;
type Table = {
  readonly [Method in Methods]: {
    readonly [Field in keyof Required<ArgumentsOf[Method]>]: Rule;
  };
};

const { any, count, date, flag, id, key, milliseconds, name, note, words } = rules;
const by = optional(name);
const run = { run: id };
const control = { by };
const page = { limit: optional(count), after: optional(id) };
const decision = {
  approval: id,
  approver: by,
  reason: optional(note),
  binding: optional(id),
};
const fate = oneOf('keep', 'compensate');
const callbacksCheckThemselves = any;

/** By method and field; tests go through it. */
export const ARGUMENTS: Table = {
  start: {
    ...{ agent: name, input: any, key: optional(key), requester: by },
    ...{ session: optional(flag), subject: optional(key) },
  },
  list: {
    ...page,
    status: optional(oneOf(...Object.values(RunStatus), ...Object.values(RunEnd))),
  },
  show: { ...run, transcript: optional(flag), limit: optional(count) },
  transcript: { ...run, from: optional(count), limit: optional(count) },
  runKey: run,
  result: { ...run, signal: any },
  watch: { ...run, signal: any },
  fork: {
    ...run,
    at: optional(count),
    effects: optional(oneOf('keep', 'compensate', 'ask')),
    fates: optional(recordOf(id, fate)),
    message: optional(words),
    key: optional(key),
    requester: by,
  },
  compensate: { ...run, effects: optional(listOf(id)), signal: any },
  approvals: { run: optional(id), ...page },
  approve: decision,
  deny: decision,
  pause: { ...run, ...control, timeoutMs: optional(milliseconds), signal: any },
  resume: { ...run, ...control },
  cancel: { ...run, ...control },
  steer: { ...run, ...control, text: words },
  say: { session: id, ...control, text: words },
  reply: { session: id, messageId: optional(id), signal: any, onStatus: any },
  endSession: { session: id, ...control },
  effects: {
    run: optional(id),
    status: optional(oneOf(...Object.values(EffectStatus))),
    ...page,
  },
  doubts: page,
  stuckRuns: page,
  each: {
    kind: oneOf('runs', 'approvals', 'effects', 'doubts', 'stuckRuns'),
    run: optional(id),
    status: any,
    ...page,
  },
  settle: {
    effect: id,
    outcome: oneOf('applied', 'not_applied'),
    output: any,
    evidence: note,
    by,
    contradict: optional(flag),
  },
  receiveCallback: {
    tool: callbacksCheckThemselves,
    id: callbacksCheckThemselves,
    tenant: optional(name),
    idempotencyKey: callbacksCheckThemselves,
    reference: callbacksCheckThemselves,
    outcome: callbacksCheckThemselves,
    output: callbacksCheckThemselves,
    code: callbacksCheckThemselves,
    message: callbacksCheckThemselves,
  },
  why: { effect: id },
  reconcileStatement: {
    statement: any,
    tools: listOf(name),
    from: optional(date),
    to: optional(date),
    graceMs: optional(milliseconds),
    match: optional(recordOf(oneOf('reference', 'receiptId'), id)),
    findingsMax: optional(count),
    onProgress: any,
  },
  erase: { run: optional(id), subject: optional(key), reason: note, by },
  verifyAudit: { run: optional(id), onProgress: any },
  collectGarbage: {
    olderThanMs: optional(milliseconds),
    dryRun: optional(flag),
    by,
    onProgress: any,
    signal: any,
  },
  rotateKeys: { onProgress: any, signal: any },
  tools: {},
  requireAgent: { name },
  doctor: {},
  history: run,
};

/** Throws ArgumentInvalidError that names the first field which cannot mean anything. */
export function checkArguments<Method extends Methods>(
  method: Method,
  given: ArgumentsOf[Method],
): void {
  for (const [field, rule] of Object.entries(ARGUMENTS[method])) {
    checkField(field, (given as Readonly<Record<string, unknown>>)[field], rule as Rule);
  }
}
