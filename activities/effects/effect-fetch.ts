// ctx.fetch of an effect: commits permission and bytes before the first byte leaves, and sends only stored bytes.
import type {
  Claim,
  DispatchAnswer,
  DispatchRequest,
  EffectLedger,
  EffectRecord,
  FrozenRequest,
} from '../ledger/effect-ledger.ts';
import type { CrashHook } from './crash-points.ts';
import { whyNeverConnected } from './wire.ts';

/** What became of the effect's one write in this attempt. */
export type WriteState =
  | { kind: 'none' }
  /** The ledger did not allow it: what the tool made of that does not count. */
  | { kind: 'denied'; answer: Exclude<DispatchAnswer, { kind: 'granted' }> }
  | { kind: 'failed'; error: unknown }
  | { kind: 'second-write' }
  | {
      kind: 'granted';
      fence: number;
      /** Set when the connection was never made. */
      notSent?: string;
      status?: number;
      retryAfterMs?: number;
    };

export interface EffectFetchOptions {
  readonly ledger: EffectLedger;
  readonly wire: typeof fetch;
  readonly record: EffectRecord;
  readonly claim: Claim;
  readonly callsPerRunMax: number | undefined;
  readonly ignoresIdentity: boolean;
  readonly crash: CrashHook;
  /** Aborts what is on the wire when the claim's lease ends. */
  readonly signal: AbortSignal;
}

export interface EffectFetch {
  readonly fetch: typeof fetch;
  /** For tools that own their wire: permission without a request. */
  dispatchAtEntry(): Promise<boolean>;
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

/** The write gate of one attempt on one effect. */
export function createEffectFetch(options: EffectFetchOptions): EffectFetch {
  let state: WriteState = { kind: 'none' };

  async function ask(request: FrozenRequest | null): Promise<FrozenRequest | null> {
    const { record, claim, crash } = options;
    await crash('before-dispatch', record.tool);
    const askedAtMs = performance.now();
    const answer = await dispatchOrFail(toDispatch(options, request));
    if (answer.kind !== 'granted') {
      state = { kind: 'denied', answer };
      throw new SendDenied(answer.kind);
    }
    state = { kind: 'granted', fence: answer.record.fence };
    await crash('before-send', record.tool);
    // A process that slept between the permit and the write no longer holds it.
    if (performance.now() - askedAtMs > claim.leaseMs) {
      state.notSent = 'the lease had ended before the write';
      throw new SendDenied('lease');
    }
    return answer.request;
  }

  async function dispatchOrFail(request: DispatchRequest): Promise<DispatchAnswer> {
    try {
      return await options.ledger.dispatch(request);
    } catch (error) {
      state = { kind: 'failed', error };
      throw error;
    }
  }

  async function write(request: Request): Promise<Response> {
    if (state.kind !== 'none') {
      state = { kind: 'second-write' };
      throw new SendDenied('second write');
    }
    const frozen = await ask(await freeze(request));
    if (!frozen) throw new SendDenied('no stored request');
    return send(frozen, request.signal);
  }

  async function send(frozen: FrozenRequest, signal: AbortSignal): Promise<Response> {
    const { wire, crash, record } = options;
    try {
      const ends = AbortSignal.any([signal, options.signal]);
      const pending = wire(frozen.url, { ...thaw(frozen), signal: ends });
      await crash('mid-request', record.tool);
      const response = await pending;
      await crash('after-send', record.tool);
      if (state.kind === 'granted') noteAnswer(state, response);
      return response;
    } catch (error) {
      const why = whyNeverConnected(error);
      if (why !== undefined && state.kind === 'granted') state.notSent = why;
      throw error;
    }
  }

  return {
    state: () => state,
    async dispatchAtEntry() {
      await ask(null).catch(() => undefined);
      return state.kind === 'granted' && state.notSent === undefined;
    },
    fetch: async (input, init) => {
      const request = new Request(input, init);
      return READS.has(request.method) ? read(options, request) : write(request);
    },
  };
}

function toDispatch(options: EffectFetchOptions, request: FrozenRequest | null): DispatchRequest {
  const { record, claim, callsPerRunMax, ignoresIdentity } = options;
  return { tenant: record.tenant, id: record.id, claim, request, callsPerRunMax, ignoresIdentity };
}

/** Reads need no permit: they change nothing. */
function read(options: EffectFetchOptions, request: Request): Promise<Response> {
  return options.wire(request.url, {
    method: request.method,
    headers: [...request.headers],
    signal: AbortSignal.any([request.signal, options.signal]),
  });
}

async function freeze(request: Request): Promise<FrozenRequest> {
  return {
    method: request.method,
    url: request.url,
    headers: [...request.headers],
    body: Buffer.from(await request.arrayBuffer()),
  };
}

function thaw(frozen: FrozenRequest): RequestInit {
  return {
    method: frozen.method,
    headers: frozen.headers.map(([name, value]): [string, string] => [name, value]),
    body: frozen.body.length > 0 ? new Uint8Array(frozen.body) : null,
  };
}

function noteAnswer(state: Extract<WriteState, { kind: 'granted' }>, response: Response): void {
  state.status = response.status;
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  if (Number.isFinite(seconds)) state.retryAfterMs = seconds * 1_000;
}
