// The one error class for what can go wrong with a development server: its message is for a user,
// no stack needed.

/** What went wrong, for callers that branch on it. */
export type ServerErrorKind =
  | 'busy-port'
  | 'cannot-start'
  | 'cannot-stop'
  | 'locked'
  | 'not-found'
  | 'not-serving'
  | 'orphan'
  | 'wrong-version';

/** A server could not be found, started or reached. The message names the thing and what to do. */
export class ServerError extends Error {
  readonly kind: ServerErrorKind;

  constructor(kind: ServerErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServerError';
    this.kind = kind;
  }
}

/**
 * The message of whatever was thrown; an AggregateError of `localhost` (IPv4 and IPv6) has none of
 * its own.
 */
export function errorText(thrown: unknown): string {
  // By shape, not `instanceof`: an error of another realm (Jest's sandbox, a worker) is no instance
  // of ours.
  const { message, errors } = Object(thrown) as { message?: unknown; errors?: unknown };
  if (message === '' && Array.isArray(errors)) return errors.map(errorText).join('; ');
  return typeof message === 'string' ? message : String(thrown);
}
