// The invariant check of the pure rules: a broken invariant is a programmer's error and crashes loudly.

/** Throws an `Error` named `InvariantViolation` when `condition` does not hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (condition) return;
  const error = new Error(`Invariant violated: ${message}`);
  error.name = 'InvariantViolation';
  throw error;
}

/** Marks a switch as exhaustive: the compiler refuses the call while a case is left. */
export function unreachable(value: never): never {
  throw new Error(`Unreachable case: ${JSON.stringify(value)}`);
}
