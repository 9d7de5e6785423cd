// What Temporal's SDK and gRPC throw, read: which of it a user can do something about.
import { ArgumentInvalidError, NamespaceUnknownError, TemporalUnreachableError } from './errors.ts';

/** gRPC's code. */
export const NOT_FOUND = 5;
// gRPC: DEADLINE_EXCEEDED, UNAVAILABLE; CANCELLED comes when the channel is closed under a call.
const UNREACHABLE_STATUS = new Set([1, 4, 14]);
// gRPC: UNKNOWN, UNIMPLEMENTED, INTERNAL: something listens there, and it is not a Temporal that works.
const FOREIGN_STATUS = new Set([2, 12, 13]);
// gRPC: what Temporal says of a name or an id that it does not take.
const INVALID_ARGUMENT = 3;
// gRPC: UNAUTHENTICATED, PERMISSION_DENIED.
const REFUSED_STATUS = new Set([7, 16]);

/** Turns what Temporal or gRPC said into an error that a user understands; anything else stays as it is. */
export function toTemporalError(error: unknown, address: string, namespace: string): unknown {
  if (nameOf(error) === 'NamespaceNotFoundError')
    return new NamespaceUnknownError(address, namespace);
  const status = grpcStatusOf(error);
  const isNamespaceMissing = status === NOT_FOUND && /namespace/i.test(reasonOf(error));
  if (isNamespaceMissing) return new NamespaceUnknownError(address, namespace);
  if (status === undefined) return error;
  if (status === INVALID_ARGUMENT)
    return new ArgumentInvalidError(`Temporal refuses: ${reasonOf(error)}`);
  if (FOREIGN_STATUS.has(status)) {
    const why = `what listens there is no Temporal that works (${reasonOf(error)})`;
    return new TemporalUnreachableError(address, why, error);
  }
  if (UNREACHABLE_STATUS.has(status) || REFUSED_STATUS.has(status)) {
    return new TemporalUnreachableError(address, reasonOf(error), error);
  }
  return error;
}

/** The status stands on the gRPC error, which the SDK wraps once or not at all. */
export function grpcStatusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'number') return error.code;
  return 'cause' in error ? grpcStatusOf(error.cause) : undefined;
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error && grpcStatusOf(error.cause) !== undefined) {
    return reasonOf(error.cause);
  }
  return error.message;
}

export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}
