// Abort signals that hold: several as one that lives as long as any of them, and requests that follow none.

/**
 * Aborts with the first of the signals. `AbortSignal.any` and `Request.signal` are held weakly on Node 20: after a
 * garbage collection they never abort, and a request stays on the wire past its lease.
 */
export function joinSignals(...signals: readonly (AbortSignal | null | undefined)[]): AbortSignal {
  const joined = new AbortController();
  for (const signal of signals) {
    if (!signal) continue;
    const abort = (): void => joined.abort(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  }
  return joined.signal;
}

/** The request as `fetch` would read it, but for its signal: what follows one is dear to make, and is held weakly. */
export function withoutSignal(input: string | URL | Request, init?: RequestInit): Request {
  return new Request(input, { ...init, signal: null });
}
