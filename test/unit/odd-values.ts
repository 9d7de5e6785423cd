// Values that code may throw or return and that nobody expects: each look at them may throw again.
import fc from 'fast-check';

const boom = (): never => {
  throw new Error('a trap');
};
const trapped = new Proxy(
  {},
  { get: boom, has: boom, getPrototypeOf: boom, ownKeys: boom, getOwnPropertyDescriptor: boom },
);

/** An object whose named members throw when they are read; V8 looks at the members of an error that it has made itself. */
function guarded(names: readonly string[], prototype: object): object {
  const members = names.map((name) => [name, { get: boom, configurable: true }] as const);
  return Object.create(prototype, Object.fromEntries(members)) as object;
}

function ring(length: number): Error {
  const errors = Array.from({ length }, (_, index) => new Error(`ring ${index}`));
  errors.forEach((error, index) => {
    error.cause = errors[(index + 1) % length];
  });
  return errors[0] ?? new Error('none');
}

const MEMBERS = ['message', 'name', 'cause', 'code', 'toString', 'toJSON', 'needsHuman'];

/** Makes anything that can be thrown; made late, because fast-check looks at what it is given. */
export const oddThrows: fc.Arbitrary<() => unknown> = fc.oneof(
  fc
    .anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true })
    .map((value) => () => value),
  fc.constantFrom<() => unknown>(
    () => trapped,
    () => Symbol('s'),
    () => boom,
    () => 1n,
    () => Object.create(null) as unknown,
    () => new Date(Number.NaN),
  ),
  fc.integer({ min: 1, max: 6 }).map((length) => () => ring(length)),
  fc.tuple(fc.subarray(MEMBERS, { minLength: 1 }), fc.boolean()).map(
    ([names, isError]) =>
      () =>
        guarded(names, isError ? Error.prototype : Object.prototype),
  ),
  fc
    .record(
      {
        message: fc.anything(),
        name: fc.anything(),
        cause: fc.anything(),
        code: fc.anything(),
        isPawlRefusal: fc.boolean(),
        isPawlPending: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    .map((members) => () => Object.assign(new Error('odd'), members)),
);
