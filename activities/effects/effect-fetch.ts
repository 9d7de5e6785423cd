// ctx.fetch of an effect: commits permission and bytes before the first byte leaves, and sends only stored bytes.
import type {
  AsStored,
  Claim,
  DispatchAnswer,
  DispatchRequest,
  EffectLedger,
  EffectRecord,
  FrozenRequest,
  Warrant,
} from '../ledger/effect-ledger.ts';
import type { Clock } from '../clock.ts';
import type { IsGivenUp } from '../heartbeat.ts';
import type { CrashHook } from './crash-points.ts';
import { type Arrived, readWhole } from './answer.ts';
import { AttemptGivenUp } from './effect-job.ts';
import { withHeadersOnce } from './headers-once.ts';
import { freeze, thaw } from './frozen-request.ts';
import { joinSignals, withoutSignal } from '../join-signals.ts';
import { whyNeverConnected } from './never-connected.ts';

/** What became of the effect's one write in this attempt. */
export type WriteState =
  | { kind: 'none' }
  /** The ledger did not allow it: what the tool made of that does not count. */
  | { kind: 'denied'; answer: Exclude<DispatchAnswer, { kind: 'granted' }> }
  | { kind: 'failed'; error: unknown }
  | { kind: 'second-write'; seen: EffectRecord }
  | {
      kind: 'granted';
      /** The effect with this permit. */
      seen: EffectRecord;
      /** An earlier send is open: an answer to this one may say nothing of that one. */
      isResend: boolean;
      /** Set when the connection was never made. */
      notSent?: string;
      /** Of the answer, as soon as its head is there. */
      status?: number;
      /** The answer, once its body has ended, one way or the other. */
      arrived?: Arrived;
      retryAfterMs?: number;
    };

export interface EffectFetchOptions {
  readonly ledger: EffectLedger;
  readonly wire: typeof fetch;
  readonly record: EffectRecord;
  readonly claim: Claim;
  readonly callsPerRunMax: number | undefined;
  readonly ignoresIdentity: boolean;
  readonly warrant?: Warrant | undefined;
  readonly asStored?: AsStored;
  readonly crash: CrashHook;
  readonly clock: Clock;
  readonly isGivenUp: IsGivenUp;
  /** Aborts what is on the wire when the claim's lease ends. */
  readonly signal: AbortSignal;
}

export interface EffectFetch {
  readonly fetch: typeof fetch;
  /** For tools that own their wire: permission without a request. */
  dispatchAtEntry(): Promise<boolean>;
  /** Lets no further write begin and waits for the one that has: afterwards `state` is final. */
  close(): Promise<void>;
  state(): WriteState;
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Thrown into the tool when it may not send; the engine does not look at what the tool makes of it. */
class SendDenied extends Error {
  constructor(kind: string) {
    super(`Pawl did not permit this send (${kind})`);
    this.name = 'SendDenied';
  }
}

/** Probes, callbacks, statements and people know the effect by its own key: the receiver must, too. */
class ForeignKey extends Error {
  constructor() {
    super(
      "the write has an Idempotency-Key that is not the effect's own: send ctx.idempotencyKey, or no such header " +
        '(what makes two calls one intention is `identity`). Nothing was sent.',
    );
    this.name = 'ForeignKey';
  }
}

/** Of a first send: what an older build has sent with another key is sent again as it is stored. */
function hasForeignKey({ headers }: Request, { wireKey, state }: EffectRecord): boolean {
  const key = headers.get('idempotency-key')?.replace(/^"(.*)"$/, '$1') ?? '';
  return state.sends === 0 && key !== '' && key !== wireKey;
}

/** The write gate of one attempt on one effect. */
export function createEffectFetch(options: EffectFetchOptions): EffectFetch {
  let state: WriteState = { kind: 'none' };
  // Set before anything is awaited: two writes at once are two writes.
  let writing: Promise<unknown> | undefined;
  let hasSecondWrite = false;

  async function ask(request: FrozenRequest | null): Promise<FrozenRequest | null> {
    const { ledger, record, claim, crash, clock, isGivenUp } = options;
    await crash('before-dispatch', record.tool);
    // No fence stops an attempt whose workflow was terminated: no later one will ever claim.
    if (isGivenUp()) fail(new AttemptGivenUp());
    const askedAtMs = clock.nowMs();
    const answer = await ledger.dispatch(toDispatch(options, request)).catch(fail);
    if (answer.kind !== 'granted') {
      state = { kind: 'denied', answer };
      throw new SendDenied(answer.kind);
    }
    state = toGranted(answer);
    await crash('before-send', record.tool);
    // A process that slept between the permit and the write no longer holds it.
    if (clock.nowMs() - askedAtMs > claim.leaseMs) {
      state.notSent = 'the lease had ended before the write';
      throw new SendDenied('lease');
    }
    return answer.request;
  }

  function fail(error: unknown): never {
    state = { kind: 'failed', error };
    throw error;
  }
  function write(request: Request, signal: CallerSignal): Promise<Response> {
    if (writing) {
      hasSecondWrite = true;
      return Promise.reject(new SendDenied('second write'));
    }
    const response = firstWrite(request, signal);
    writing = response;
    return response;
  }

  async function firstWrite(request: Request, signal: CallerSignal): Promise<Response> {
    if (hasForeignKey(request, options.record)) fail(new ForeignKey());
    const { frozen, own } = await freeze(request, options.record.wireKey);
    const stored = await ask(frozen);
    if (!stored) throw new SendDenied('no stored request');
    return send(options, state, thaw(stored, own), signal);
  }

  return {
    state: () => (hasSecondWrite ? withSecondWrite(state) : state),
    async close() {
      writing ??= Promise.resolve();
      await writing.catch(() => undefined);
    },
    async dispatchAtEntry() {
      writing = ask(null);
      await writing.catch((error: unknown) => {
        // Permitted and yet thrown: a hook that ends the attempt here, before anything is sent.
        if (isSent(state)) throw error;
      });
      return isSent(state);
    },
    fetch: async (input, init) => {
      const request = withoutSignal(input, withHeadersOnce(init));
      const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
      return READS.has(request.method) ? read(options, request, signal) : write(request, signal);
    },
  };
}

/** What the tool gave: a signal that is read off a `Request` again may be collected. */
type CallerSignal = AbortSignal | null | undefined;

/** A second try after a refused permit, or a connection that was never made, is no second write. */
function withSecondWrite(state: WriteState): WriteState {
  return isSent(state) ? { kind: 'second-write', seen: state.seen } : state;
}

function isSent(state: WriteState): state is Extract<WriteState, { kind: 'granted' }> {
  return state.kind === 'granted' && state.notSent === undefined;
}

function toGranted({
  record,
  isResend,
}: Extract<DispatchAnswer, { kind: 'granted' }>): Extract<WriteState, { kind: 'granted' }> {
  return { kind: 'granted', seen: record, isResend };
}

function toDispatch(options: EffectFetchOptions, request: FrozenRequest | null): DispatchRequest {
  const { record, claim, callsPerRunMax, ignoresIdentity, warrant, asStored } = options;
  const { tenant, id } = record;
  const permission = { tenant, id, claim, callsPerRunMax, ignoresIdentity, warrant };
  return { ...permission, request, seen: record, asStored };
}

/** The one request on the wire; notes in `state` what came of it. */
async function send(
  options: EffectFetchOptions,
  state: WriteState,
  { url, init }: { readonly url: string; readonly init: RequestInit },
  signal: CallerSignal,
): Promise<Response> {
  const { wire, crash, record } = options;
  try {
    const ends = joinSignals(signal, options.signal);
    const pending = wire(url, { ...init, signal: ends });
    // Heard below; a hook that throws first must not leave it unheard.
    pending.catch(() => undefined);
    await crash('mid-request', record.tool);
    const response = await pending;
    await crash('after-send', record.tool);
    if (state.kind === 'granted') noteHead(state, response);
    // Read here, whatever the tool does with it: what the receiver has said is known before any code of the tool runs.
    const { arrived, answer } = await readWhole(response);
    if (state.kind === 'granted') state.arrived = arrived;
    return answer;
  } catch (error) {
    const why = whyNeverConnected(error);
    if (why !== undefined && state.kind === 'granted') state.notSent = why;
    throw error;
  }
}

/** Reads need no permit: they change nothing. */
function read(
  options: EffectFetchOptions,
  request: Request,
  signal: CallerSignal,
): Promise<Response> {
  return options.wire(request.url, {
    method: request.method,
    headers: [...request.headers],
    signal: joinSignals(signal, options.signal),
  });
}

function noteHead(state: Extract<WriteState, { kind: 'granted' }>, response: Response): void {
  state.status = response.status;
  const retryAfterMs = readRetryAfter(response.headers.get('retry-after'));
  if (retryAfterMs !== undefined) state.retryAfterMs = retryAfterMs;
}

/** A receiver's wish beyond this is not waited for: the key's horizon would pass. */
const RETRY_AFTER_MAX_MS = 600_000;

/** `Retry-After` as seconds or as an HTTP date, in milliseconds from now. */
export function readRetryAfter(
  header: string | null,
  nowMs: number = Date.now(),
): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const delayMs = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(header) - nowMs;
  return Number.isFinite(delayMs) ? Math.min(Math.max(0, delayMs), RETRY_AFTER_MAX_MS) : undefined;
}
