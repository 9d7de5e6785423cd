// The words a tool uses to report a definite outcome: refused, found, absent, unclear.

/** What a probe saw. */
export type ProbeResult<Output> =
  | { readonly kind: 'found'; readonly output: Output }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unclear'; readonly reason: string };

/** The receiver knows the effect: it was applied, with this output. */
export function found<Output>(output: Output): ProbeResult<Output> {
  return { kind: 'found', output };
}

/** The receiver certainly does not know the effect. Counts only when said twice, over a settle window. */
export function absent(): ProbeResult<never> {
  return { kind: 'absent' };
}

/** The receiver could not tell. */
export function unclear(reason: string): ProbeResult<never> {
  return { kind: 'unclear', reason };
}

/** Thrown by a tool for a definite no: the receiver documents that nothing was done. */
export class RefusedError extends Error {
  /** Holds across duplicate installs, where `instanceof` does not. */
  readonly isPawlRefusal = true;
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.code = code;
  }
}

/** `throw refused('card_declined')`: nothing was done, and the model may be told so. */
export function refused(code: string, message: string = code): RefusedError {
  return new RefusedError(code, message);
}

/** True for a `refused(…)`, whichever copy of the package made it. */
export function isRefusal(error: unknown): error is RefusedError {
  return error instanceof Error && 'isPawlRefusal' in error && error.isPawlRefusal === true;
}
