// Property tests with a seed that can be repeated: from PAWL_TEST_SEED, or drawn and printed in the failure.
import { randomInt } from 'node:crypto';
import fc from 'fast-check';

/** For what draws its cases itself. */
export const propertySeed = Number(process.env['PAWL_TEST_SEED'] ?? randomInt(2 ** 31 - 1));

/** The same of a property that has to be awaited. */
export async function checkAsyncProperty<T>(
  property: fc.IAsyncProperty<T>,
  numRuns = 1_000,
): Promise<void> {
  try {
    await fc.assert(property, { seed: propertySeed, numRuns });
  } catch (error) {
    throw withSeed(error);
  }
}

/** Checks a property on `numRuns` random cases; the failure says how to repeat it. */
export function checkProperty<T>(property: fc.IRawProperty<T>, numRuns = 1_000): void {
  try {
    fc.assert(property as fc.IProperty<T>, { seed: propertySeed, numRuns });
  } catch (error) {
    throw withSeed(error);
  }
}

function withSeed(error: unknown): unknown {
  if (error instanceof Error)
    error.message = `PAWL_TEST_SEED=${propertySeed} repeats this.\n${error.message}`;
  return error;
}

/** Random values by the same seed, for a check that takes them all at once. */
export function sampleSeeded<T>(arbitrary: fc.Arbitrary<T>, count: number): T[] {
  return fc.sample(arbitrary, { seed: propertySeed, numRuns: count });
}
