// The values of one statement that is put together from parts: each part names its own.

export interface Parameters {
  /** Takes a value and returns its place, such as `$3`; the same text results from the same parts. */
  readonly $: (value: unknown) => string;
  readonly values: readonly unknown[];
}

export function parameters(): Parameters {
  const values: unknown[] = [];
  return { values, $: (value) => `$${values.push(value)}` };
}
