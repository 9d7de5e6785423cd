// One attempt to send one effect: runs the tool behind the write gate and reads what happened into facts.
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Fact } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import { hasOpenSend } from '../../domain/rules/next-move.ts';
import type { Claim, EffectLedger, EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import type { CrashHook } from './crash-points.ts';
import { createEffectFetch, type WriteState } from './effect-fetch.ts';
import { fingerprint, toJson } from './fingerprint.ts';

export interface SendDeps {
  readonly ledger: EffectLedger;
  readonly wire: typeof fetch;
  readonly crash: CrashHook;
}

export interface SendJob {
  readonly tool: AnyTool;
  readonly record: EffectRecord;
  readonly claim: Claim;
  readonly ignoresIdentity: boolean;
}

export type SendAnswer =
  /** Facts to append; the fold says what they amount to. */
  | {
      readonly kind: 'observed';
      readonly entries: readonly FactEntry[];
      readonly retryAfterMs?: number;
    }
  /** The gate said no: look again at the ledger. */
  | { readonly kind: 'denied'; readonly answer: Extract<WriteState, { kind: 'denied' }>['answer'] }
  /** The tool failed before its first write: provably nothing was sent. */
  | { readonly kind: 'unsent'; readonly error: unknown };

/** Runs the tool once, inside its lease. */
export async function attemptSend(deps: SendDeps, job: SendJob): Promise<SendAnswer> {
  const { tool, record, claim } = job;
  const signal = AbortSignal.timeout(Math.min(tool.timeoutMs, claim.leaseMs));
  const gate = createEffectFetch({
    ...deps,
    ...job,
    callsPerRunMax: tool.callsPerRunMax,
    signal,
  });
  const input = parseArguments(tool, record);
  if (input.kind === 'invalid') return { kind: 'unsent', error: input.error };
  if (tool.wire === 'own' && !(await gate.dispatchAtEntry()))
    return answerOf(gate.state(), undefined, record);
  const context = {
    fetch: gate.fetch,
    read: deps.wire,
    idempotencyKey: record.wireKey,
    effect: record.shortId,
    runKey: record.runKey,
    tenant: record.tenant,
    signal,
  };
  // A tool may throw before it makes its promise: that is no different from a rejection.
  const running = (async () => tool.run(input.value, context))();
  const ran = await settleWithin(running, signal);
  await gate.close();
  if (ran.isLeftBehind) keepLateAnswer(deps, job, gate.state(), running);
  await deps.crash('before-settle', tool.name);
  const answer = answerOf(gate.state(), ran, record);
  return answer.kind === 'observed' ? judgeOutput(answer, tool, claim) : answer;
}

type Ran =
  | { readonly ok: true; readonly output: unknown; readonly isLeftBehind: false }
  | { readonly ok: false; readonly error: unknown; readonly isLeftBehind: boolean };

/** A tool that ignores its signal is left behind when its time is up: its lease is over. */
async function settleWithin(running: Promise<unknown>, signal: AbortSignal): Promise<Ran> {
  let isLeftBehind = false;
  const timedOut = new Promise<never>((_, reject) => {
    const end = (): void => {
      isLeftBehind = true;
      reject(signal.reason as Error);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  try {
    return { ok: true, output: await Promise.race([running, timedOut]), isLeftBehind: false };
  } catch (error) {
    return { ok: false, error, isLeftBehind };
  }
}

/** An answer however late is a fact: it resolves a doubt by itself, as long as this process lives. */
function keepLateAnswer(
  { ledger }: SendDeps,
  { tool, record, claim }: SendJob,
  state: WriteState,
  running: Promise<unknown>,
): void {
  if (state.kind !== 'granted') return;
  const keep = async (output: unknown): Promise<void> => {
    const late = observed(
      { kind: 'applied', source: 'response', output: toJson(output) },
      state.fence,
    );
    const judged = late.kind === 'observed' ? judgeOutput(late, tool, claim) : late;
    if (judged.kind === 'observed') await ledger.append(record.tenant, record.id, judged.entries);
  };
  // Nobody waits for this any more: what it cannot store stays in doubt.
  running.then(keep).catch(() => undefined);
}

function answerOf(state: WriteState, ran: Ran | undefined, record: EffectRecord): SendAnswer {
  switch (state.kind) {
    case 'denied':
      return { kind: 'denied', answer: state.answer };
    case 'failed':
      return { kind: 'unsent', error: state.error };
    case 'none':
      return beforeAnyWrite(ran, record);
    case 'second-write':
      return observed({
        kind: 'doubted',
        reason: 'the tool tried a second write: one effect is one write, so split the tool',
      });
    case 'granted':
      return afterGrant(state, ran);
  }
}

function beforeAnyWrite(ran: Ran | undefined, record: EffectRecord): SendAnswer {
  if (!ran || !ran.ok) {
    const error = ran?.error;
    if (isRefusal(error)) {
      // "Already paid" may well mean: by the send before this one.
      if (hasOpenSend(record.state)) {
        const reason = `an earlier send is open, and now the tool refuses before it sends: ${error.message}`;
        return observed({ kind: 'doubted', reason });
      }
      return observed({
        kind: 'refused',
        source: 'response',
        code: error.code,
        message: error.message,
      });
    }
    return { kind: 'unsent', error };
  }
  return observed({
    kind: 'doubted',
    reason: "the tool returned without a write by ctx.fetch: use it, or declare wire: 'own'",
  });
}

/**
 * Given before a receiver looks at the key or the business: on a resend they say nothing of the send before it, which
 * may have been accepted with a credential that was revoked since.
 */
const ANSWERED_AT_THE_DOOR = new Set([401, 403, 404, 405, 407, 410, 411, 413, 415, 429]);

function afterGrant(
  state: Extract<WriteState, { kind: 'granted' }>,
  ran: Ran | undefined,
): SendAnswer {
  const { fence } = state;
  if (state.notSent !== undefined) {
    return observed({ kind: 'not_sent', reason: state.notSent }, fence, state.retryAfterMs);
  }
  if (ran?.ok) {
    return observed({ kind: 'applied', source: 'response', output: toJson(ran.output) }, fence);
  }
  if (isRefusal(ran?.error) && !(state.isResend && ANSWERED_AT_THE_DOOR.has(state.status ?? 0))) {
    const { code, message } = ran.error;
    return observed({ kind: 'refused', source: 'response', code, message }, fence);
  }
  const status = state.status === undefined ? '' : `HTTP ${state.status}: `;
  const reason = `${status}${messageOf(ran?.error)}`;
  if (needsHuman(ran?.error)) return observed({ kind: 'doubted', reason }, fence);
  return observed({ kind: 'ambiguous', reason }, fence, state.retryAfterMs);
}

/** Read by its field: an `AmbiguousAnswer` may come from another copy of the package. */
function needsHuman(error: unknown): boolean {
  return error instanceof Error && 'needsHuman' in error && error.needsHuman === true;
}

function observed(fact: Fact, fence?: number, retryAfterMs?: number): SendAnswer {
  const entry: FactEntry = { fact, ...(fence === undefined ? {} : { fence }) };
  return {
    kind: 'observed',
    entries: [entry],
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** An output that fails its schema after the effect is applied, with a problem; never a retry. */
function judgeOutput(
  answer: Extract<SendAnswer, { kind: 'observed' }>,
  tool: AnyTool,
  claim: Claim,
): SendAnswer {
  const entries = answer.entries.map((entry): FactEntry => {
    const attempt = { attempt: claim.attempt };
    if (entry.fact.kind !== 'applied') return { ...entry, ...attempt };
    const problem = outputProblem(tool, entry.fact.output);
    return { ...entry, ...attempt, ...(problem === undefined ? {} : { outputProblem: problem }) };
  });
  return { ...answer, entries };
}

/** What is wrong with an output, in one line; undefined when it matches the tool's schema. */
export function outputProblem(tool: AnyTool, output: Json): string | undefined {
  const parsed = tool.output.safeParse(output);
  if (parsed.success) return undefined;
  return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

/**
 * What the ledger holds is what was approved: the schema only turns it into richer types (a Date), and has no second go at
 * changing it. One that was tightened after a send must not keep the stored bytes from being sent again.
 */
export function parseArguments(
  tool: AnyTool,
  record: EffectRecord,
): { kind: 'valid'; value: unknown } | { kind: 'invalid'; error: Error } {
  const parsed = tool.input.safeParse(record.arguments);
  if (!parsed.success) {
    const wasSent = record.state.sends > 0;
    return wasSent
      ? { kind: 'valid', value: record.arguments }
      : { kind: 'invalid', error: parsed.error };
  }
  const isSame = fingerprint(toJson(parsed.data)) === fingerprint(record.arguments);
  return { kind: 'valid', value: isSame ? parsed.data : record.arguments };
}

/** One line about any thrown value, its causes included. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${messageOf(error.cause)})` : '';
  return `${error.name}: ${error.message}${cause}`;
}
