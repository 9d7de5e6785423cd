// Time-outs and retries of every activity, each said explicitly: Temporal's defaults are never relied on.
import type { RetryPolicy } from '@temporalio/common';
import type { ActivityOptions, LocalActivityOptions } from '@temporalio/workflow';
import type { CallState, Step } from '../domain/rules/run.ts';
import { toSafeLine } from '../domain/rules/safe-text.ts';

/** Options with everything said that Temporal would otherwise fill in; `runActivity` takes no others. */
export type ExplicitOptions = ActivityOptions &
  Required<Pick<ActivityOptions, 'startToCloseTimeout'>> & {
    readonly retry: RetryPolicy & Required<Pick<RetryPolicy, 'maximumAttempts'>>;
  };

/** The same of a local activity. */
export type ExplicitLocalOptions = LocalActivityOptions &
  Required<Pick<LocalActivityOptions, 'startToCloseTimeout'>> &
  Pick<ExplicitOptions, 'retry'>;

/**
 * A dead worker that no supervisor sees is noticed after this; the effect's lease, not this, decides what may be concluded.
 * A worker beats three times as often and none of it is held back: one that is busy for less than 2.6 s loses nothing.
 */
const HEARTBEAT_TIMEOUT = '4s';
/** What the ledger needs around a tool's own time. */
const LEDGER_MARGIN_MS = 10_000;
/** The same inside of a workflow task, which everything else of the run waits for. */
const LOCAL_LEDGER_MARGIN_MS = 3_000;

/** Behind the first time-out soon, that a dead worker's run goes on; then as slowly as a ledger that is down wants it. */
const SOON_THEN_SLOWLY = { initialInterval: '200ms', backoffCoefficient: 4 } as const;

/** Whatever fails with a delay of its own, a step outlives an outage of a month: only its failures end it, not their number. */
const ATTEMPTS_MAX = 1_000_000;

/** Statements on the ledger: short, repeatable, tried until the database is back. */
export const ledgerOptions: ExplicitOptions = {
  startToCloseTimeout: '30s',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: {
    ...SOON_THEN_SLOWLY,
    maximumInterval: '30s',
    maximumAttempts: ATTEMPTS_MAX,
  },
};

/**
 * The model: hopeless failures are not retryable by their type; all others bring the delay that the provider is given.
 * These intervals hold for time-outs, and for a ledger that is down: behind the answer each attempt is paid again.
 */
export const modelOptions: ExplicitOptions = {
  startToCloseTimeout: '10m',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: {
    ...SOON_THEN_SLOWLY,
    maximumInterval: '1m',
    maximumAttempts: ATTEMPTS_MAX,
  },
};

/**
 * One sweep. No other begins while it lasts, so a worker that dies in it must be noticed soon and the sweep go on with the
 * next one; what it has found out is in the ledger. It ends with its workflow's time at the latest.
 */
export const reconcileOptions: ExplicitOptions = {
  startToCloseTimeout: '2m',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: {
    initialInterval: '200ms',
    backoffCoefficient: 2,
    maximumInterval: '5s',
    maximumAttempts: 50,
  },
};

/**
 * Tools: Temporal counts dispatches here, the ledger counts sends and ends them at the tool's own limit. These intervals
 * hold for time-outs only (a frozen worker eats dispatches); every failure of ours brings its own delay.
 */
export function toolOptions(timeoutMs: number, summary?: string): ExplicitOptions {
  return {
    startToCloseTimeout: timeoutMs + LEDGER_MARGIN_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: {
      initialInterval: '200ms',
      backoffCoefficient: 2,
      maximumInterval: '5s',
      maximumAttempts: ATTEMPTS_MAX,
    },
    ...(summary === undefined ? {} : { summary: toUiLine(summary) }),
  };
}

/** One attempt: what it leaves open goes on as an activity, which can wait. */
export function localOptions(timeoutMs: number, summary: string): ExplicitLocalOptions {
  return {
    startToCloseTimeout: timeoutMs + LOCAL_LEDGER_MARGIN_MS,
    retry: { maximumAttempts: 1 },
    summary: toUiLine(summary),
  };
}

/** Temporal refuses a summary of more than 400 bytes. */
const UI_BYTES_MAX = 390;

/** A text of a model as Temporal's UI may show it: every letter to be seen, on one line, cut to what the server takes. */
export function toUiLine(text: string): string {
  let line = '';
  let bytes = 0;
  for (const letter of toSafeLine(text)) {
    const code = letter.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > UI_BYTES_MAX) return `${line}…`;
    line += letter;
  }
  return line;
}

/** The activity type of a group of calls: a single tool shows its name in Temporal's UI. */
export function callsActivity(calls: readonly CallState[]): string {
  const [first, ...others] = calls;
  return first && others.length === 0 ? `tool.${first.tool}` : 'tool.reads';
}

/** What Temporal's UI shows beside a group of calls. */
export function callsSummary(calls: readonly CallState[]): string {
  return calls
    .map(({ summary }) => summary)
    .join(' | ')
    .slice(0, 200);
}

/** The live line of a run in Temporal's UI. */
export function stepDetails(step: Step, turn: number): string {
  const calls = step.kind === 'run-calls' ? step.calls : 'call' in step ? [step.call] : [];
  if (step.kind === 'await-model') {
    const until = new Date(step.untilMs).toISOString();
    return `turn ${turn} · await-model: until ${until}, or \`pawl resume\`: ${toUiLine(step.reason)}`;
  }
  const what = calls.length > 0 ? `: ${toUiLine(callsSummary(calls))}` : '';
  const command = commandOf(step);
  return `turn ${turn} · ${step.kind}${what}${command ? ` · ${command}` : ''}`;
}

/** What a human types to end a wait. */
function commandOf(step: Step): string | undefined {
  switch (step.kind) {
    case 'await-approval':
      return step.call.approval && `pawl approve ${step.call.approval.id}`;
    case 'await-settlement':
      return step.call.effect && `pawl settle ${step.call.effect}`;
    case 'await-resume':
      return 'pawl resume';
    default:
      return undefined;
  }
}
