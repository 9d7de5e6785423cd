// Property tests with a seed that can be repeated: from PAWL_TEST_SEED, or drawn and printed in the failure.
import { randomInt } from 'node:crypto';
import fc from 'fast-check';

const seed = Number(process.env['PAWL_TEST_SEED'] ?? randomInt(2 ** 31 - 1));

/** The same of a property that has to be awaited. */
export async function checkAsyncProperty<T>(
  property: fc.IAsyncProperty<T>,
  numRuns = 1_000,
): Promise<void> {
  try {
    await fc.assert(property, { seed, numRuns });
  } catch (error) {
    throw withSeed(error);
  }
}

/** Checks a property on `numRuns` random cases; the failure says how to repeat it. */
export function checkProperty<T>(property: fc.IRawProperty<T>, numRuns = 1_000): void {
  try {
    fc.assert(property as fc.IProperty<T>, { seed, numRuns });
  } catch (error) {
    throw withSeed(error);
  }
}

function withSeed(error: unknown): unknown {
  if (error instanceof Error)
    error.message = `PAWL_TEST_SEED=${seed} repeats this.\n${error.message}`;
  return error;
}

/** Random values by the same seed, for a check that takes them all at once. */
export function sampleSeeded<T>(arbitrary: fc.Arbitrary<T>, count: number): T[] {
  return fc.sample(arbitrary, { seed, numRuns: count });
}

/** The same for a property that waits. */
export async function checkPropertyAsync<T>(
  property: fc.IAsyncProperty<T>,
  numRuns: number,
): Promise<void> {
  try {
    await fc.assert(property, { seed, numRuns });
  } catch (error) {
    if (error instanceof Error)
      error.message = `PAWL_TEST_SEED=${seed} repeats this.\n${error.message}`;
    throw error;
  }
}
