// The words a tool uses to report what it knows: refused and pending of a send; found, absent and unclear of a probe.
import { member } from '../rules/thrown.ts';

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
    // Code without types may pass a status: it is a text from here on.
    this.code = String(code);
  }
}

/** `throw refused('card_declined')`: nothing was done, and the model may be told so. */
export function refused(code: string, message: string = code): RefusedError {
  return new RefusedError(code, message);
}

/** True for a `refused(…)`, whichever copy of the package made it. */
export function isRefusal(error: unknown): error is RefusedError {
  return (
    isMarked(error, 'isPawlRefusal') &&
    typeof member(error, 'code') === 'string' &&
    typeof member(error, 'message') === 'string'
  );
}

/** Thrown by a tool when the receiver has accepted the effect and will say later what became of it. */
export class PendingError extends Error {
  /** Holds across duplicate installs, where `instanceof` does not. */
  readonly isPawlPending = true;
  /** The receiver's own name for what it has accepted; null when it gave none. */
  readonly reference: string | null;
  constructor(given: string | null) {
    // A receiver's id is often a number.
    const reference = given === null || given === undefined ? null : String(given);
    super(`accepted, not done yet${reference === null ? '' : ` (${reference})`}`);
    this.name = 'PendingError';
    this.reference = reference;
  }
}

/**
 * `throw pending(answer.jobId)`: accepted. A callback or a probe brings the outcome; when neither has within
 * `effect.pending.within`, the effect is in doubt. It is never sent again meanwhile.
 */
export function pending(reference: string | null = null): PendingError {
  return new PendingError(reference);
}

/** True for a `pending(…)`, whichever copy of the package made it. */
export function isPending(error: unknown): error is PendingError {
  return isMarked(error, 'isPawlPending');
}

/** Total: what is thrown may be a value that throws when it is looked at. */
function isMarked(error: unknown, mark: string): boolean {
  try {
    return error instanceof Error && member(error, mark) === true;
  } catch {
    return false;
  }
}
