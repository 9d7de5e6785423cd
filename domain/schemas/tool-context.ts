// What a tool's code is handed while it runs; implemented by the effect engine in activities/.

/** The ledger's open transaction in the hands of a transactional tool. */
export interface LedgerTransaction {
  /**
   * One statement with `$1` parameters. What it writes is committed together with the effect's outcome, or not at all.
   * Never end the transaction yourself. Rejects once the tool's time is up.
   */
  query<Row = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: Row[]; readonly rowCount: number }>;
}

/** The hands of a tool. Everything that leaves the process goes through `fetch` or `read`. */
export interface ToolContext {
  /**
   * The one write of this call, for `fetch`-compatible SDKs. Any method but GET, HEAD and OPTIONS is the write: its
   * bytes are frozen and committed before they leave, and resent verbatim after a crash. Redirects are refused.
   */
  readonly fetch: typeof fetch;
  /** For requests that change nothing, whatever their method (a token endpoint, a search by POST). Never ledgered. */
  readonly read: typeof fetch;
  /** For `transactional` tools: where the effect happens. Every other tool is refused it. */
  readonly transaction: LedgerTransaction;
  /** Stable over attempts, workers, resets and deploys: send it as the `Idempotency-Key`. UUID-shaped. */
  readonly idempotencyKey: string;
  /** Short id of the effect (`ef_…`); of the call for reads. */
  readonly effect: string;
  readonly runKey: string;
  readonly tenant: string;
  /** Aborted on cancel (reads), on shutdown's deadline and on the tool's time-out. */
  readonly signal: AbortSignal;
}

/** What a probe is handed: it may only look. */
export interface ProbeContext {
  readonly read: typeof fetch;
  readonly idempotencyKey: string;
  readonly effect: string;
  readonly signal: AbortSignal;
}
