// The envelope of every activity result: what crosses a Temporal boundary says which version it speaks.

/** Written by activities, opened by workflows; `v` rises when `value` changes its meaning. */
export interface Enveloped<T> {
  readonly v: 1;
  readonly value: T;
}

/** Puts a result into its envelope. */
export function enveloped<T>(value: T): Enveloped<T> {
  return { v: 1, value };
}
