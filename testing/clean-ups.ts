// What a test has to take down again, last in, first out; every one is tried, whatever the others do.

export interface CleanUps {
  add(cleanUp: () => Promise<unknown>): void;
  /** Runs all of them; returns what went wrong. */
  run(): Promise<readonly unknown[]>;
}

export function createCleanUps(): CleanUps {
  const cleanUps: (() => Promise<unknown>)[] = [];
  return {
    add: (cleanUp) => void cleanUps.push(cleanUp),
    async run() {
      const errors: unknown[] = [];
      for (const cleanUp of cleanUps.splice(0).reverse()) {
        await cleanUp().catch((error: unknown) => errors.push(error));
      }
      return errors;
    },
  };
}

/** Gives `body` a list of clean-ups and runs them behind it; the body's own error goes before theirs. */
export async function withCleanUps<T>(body: (cleanUps: CleanUps) => Promise<T>): Promise<T> {
  const cleanUps = createCleanUps();
  let result: T;
  try {
    result = await body(cleanUps);
  } catch (error) {
    await cleanUps.run();
    throw error;
  }
  const errors = await cleanUps.run();
  if (errors.length > 0) throw new AggregateError(errors, 'The test passed, its clean-up failed');
  return result;
}
