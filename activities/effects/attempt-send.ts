// One attempt to send one effect: runs the tool through the write gate and reports what happened.
import { isRefusal, type RefusedError } from '../../domain/schemas/outcomes.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { EffectState, Fact } from '../../domain/rules/effect.ts';
import { hasOpenSend } from '../../domain/rules/next-move.ts';
import type {
  AsStored,
  Claim,
  EffectLedger,
  EffectRecord,
  FactEntry,
  Warrant,
} from '../ledger/effect-ledger.ts';
import { type Clock, withDeadline } from '../clock.ts';
import { LedgerUnavailable } from '../ledger/database.ts';
import type { IsGivenUp } from '../heartbeat.ts';
import type { CrashHook } from './crash-points.ts';
import { AttemptGivenUp } from './effect-job.ts';
import { createEffectFetch, type WriteState } from './effect-fetch.ts';
import { afterGrant, isDefinite, toRefused } from './read-outcome.ts';
import { type Ran, settleWithin } from './settle-within.ts';
import { noTransaction, parseArguments } from './tool-run.ts';
import { type Wire, wireFor } from './wire.ts';

export interface SendDeps {
  readonly ledger: EffectLedger;
  readonly wire: Wire;
  readonly crash: CrashHook;
  readonly clock: Clock;
}

export interface SendJob {
  readonly tool: AnyTool;
  readonly record: EffectRecord;
  readonly claim: Claim;
  readonly ignoresIdentity: boolean;
  readonly warrant?: Warrant | undefined;
  /** Set when nobody has looked at `record` since it was stored; see `DispatchRequest`. */
  readonly asStored?: AsStored;
  readonly isGivenUp: IsGivenUp;
}

export type SendAnswer =
  /** A fact to append; the fold says what it amounts to. */
  | {
      readonly kind: 'observed';
      readonly entry: FactEntry;
      readonly retryAfterMs?: number | undefined;
      /** The effect as the permit left it. */
      readonly seen: EffectRecord;
    }
  /** The gate said no: look again at the ledger. */
  | { readonly kind: 'denied'; readonly answer: Extract<WriteState, { kind: 'denied' }>['answer'] }
  /** The tool failed before its first write: provably nothing was sent. */
  | { readonly kind: 'unsent'; readonly error: unknown }
  /** The tool ended before its first write: what it makes of that counts for the effect as it was looked at. */
  | { readonly kind: 'concluded'; readonly entry: FactEntry };

/** Ends an attempt that was not permitted, and is no failure of its tool. */
export function isOfAttempt(error: unknown): boolean {
  return error instanceof LedgerUnavailable || error instanceof AttemptGivenUp;
}

/** Runs the tool once, inside its lease. */
export function attemptSend(deps: SendDeps, job: SendJob): Promise<SendAnswer> {
  const timeoutMs = Math.min(job.tool.timeoutMs, job.claim.leaseMs);
  return withDeadline(deps.clock, timeoutMs, (signal) => attemptUntil(signal, deps, job));
}

async function attemptUntil(
  signal: AbortSignal,
  deps: SendDeps,
  job: SendJob,
): Promise<SendAnswer> {
  const { tool, record } = job;
  const wire = wireFor(deps.wire, tool);
  const gate = createEffectFetch({
    ...deps,
    ...job,
    wire,
    callsPerRunMax: tool.callsPerRunMax,
    signal,
  });
  const input = await parseArguments(tool, record);
  if (input.kind === 'invalid') return { kind: 'unsent', error: input.error };
  if (tool.wire === 'own' && !(await gate.dispatchAtEntry()))
    return await toAnswer(gate.state(), undefined, job);
  const context = {
    fetch: gate.fetch,
    read: wire,
    transaction: noTransaction,
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
  return toAnswer(gate.state(), ran, job);
}

async function toAnswer(
  state: WriteState,
  ran: Ran | undefined,
  { tool, record, claim }: SendJob,
): Promise<SendAnswer> {
  const { attempt } = claim;
  switch (state.kind) {
    case 'denied':
      return { kind: 'denied', answer: state.answer };
    case 'failed':
      return { kind: 'unsent', error: state.error };
    case 'none':
      return beforeAnyWrite(ran, record, attempt);
    case 'second-write': {
      const { seen } = state;
      const entry = { fact: SECOND_WRITE, fence: seen.fence, attempt };
      return { kind: 'observed', entry, seen };
    }
    case 'granted': {
      const { entry, retryAfterMs } = await afterGrant(state, ran, tool);
      return { kind: 'observed', entry: { ...entry, attempt }, retryAfterMs, seen: state.seen };
    }
  }
}

const SECOND_WRITE: Fact = {
  kind: 'doubted',
  reason: 'the tool tried a second write: one effect is one write, so split the tool',
};

/** An answer however late is a fact: it resolves a doubt by itself, as long as this process lives. */
function keepLateAnswer(
  { ledger }: SendDeps,
  job: SendJob,
  state: WriteState,
  running: Promise<unknown>,
): void {
  if (state.kind !== 'granted') return;
  const { tenant, id } = job.record;
  const keep = async (ran: Ran): Promise<void> => {
    const { entry } = await afterGrant(state, ran, job.tool);
    const { attempt } = job.claim;
    if (isDefinite(entry.fact)) await ledger.append(tenant, id, [{ ...entry, attempt }]);
  };
  // Nobody waits for this any more: what it cannot store stays in doubt.
  running
    .then(
      (output: unknown) => keep({ ok: true, output, isLeftBehind: false }),
      (error: unknown) => keep({ ok: false, error, isLeftBehind: true }),
    )
    .catch(() => undefined);
}

const NO_WRITE: Fact = {
  kind: 'doubted',
  reason: "the tool returned without a write by ctx.fetch: use it, or declare wire: 'own'",
};

function beforeAnyWrite(
  ran: Ran | undefined,
  { state }: EffectRecord,
  attempt: number,
): SendAnswer {
  if (!ran || !ran.ok) {
    if (!isRefusal(ran?.error)) return { kind: 'unsent', error: ran?.error };
    return { kind: 'concluded', entry: { fact: refusedUnwritten(ran.error, state), attempt } };
  }
  return { kind: 'concluded', entry: { fact: NO_WRITE, attempt } };
}

function refusedUnwritten(refusal: RefusedError, state: EffectState): Fact {
  const { code, message } = toRefused(refusal);
  // "Already paid" may well mean: by the send before this one.
  if (hasOpenSend(state)) {
    const reason = `an earlier send is open, and now the tool refuses before it sends: ${message}`;
    return { kind: 'doubted', reason };
  }
  return state.status === 'intended'
    ? { kind: 'withdrawn', code, message }
    : { kind: 'refused', source: 'engine', code, message };
}
