// Which statuses of Temporal mean that a workflow is over. A list of ends: whatever else there is, or will be, is open.

/** As Temporal's SDK names them. */
export const EXECUTION_ENDS = [
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TERMINATED',
  'TIMED_OUT',
] as const;
export type ExecutionEnd = (typeof EXECUTION_ENDS)[number];

/**
 * What Temporal says of the last execution under a workflow id. `open` is also one that is paused, one that continued as
 * new, and one with a status that this build does not know. `missing` is no end: it may never have been started, may be in
 * another namespace, or was forgotten.
 */
export type ExecutionStanding =
  | { readonly kind: 'open' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'ended'; readonly end: ExecutionEnd };

/** Reads the status of the last execution. */
export function standingOf(status: string): ExecutionStanding {
  const end = EXECUTION_ENDS.find((one) => one === status);
  return end ? { kind: 'ended', end } : { kind: 'open' };
}
