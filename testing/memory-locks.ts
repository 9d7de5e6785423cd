// Locks by name inside one process, for the in-memory ledger: all of a set at once, so nobody waits in a circle.

export interface Locks {
  /** Resolves when nobody holds any of them. */
  free(names: readonly string[]): Promise<void>;
  /** Runs `work` alone; the names are asked for anew after each wait. */
  hold<T>(names: () => readonly string[], work: () => Promise<T>): Promise<T>;
}

export function createLocks(): Locks {
  const held = new Map<string, Promise<void>>();
  const holderOf = (names: readonly string[]): Promise<void> | undefined =>
    names.map((name) => held.get(name)).find((holder) => holder !== undefined);
  return {
    async free(names) {
      for (let holder = holderOf(names); holder; holder = holderOf(names)) await holder;
    },
    async hold(names, work) {
      for (let holder = holderOf(names()); holder; holder = holderOf(names())) await holder;
      const taken = names();
      let release = (): void => undefined;
      const isOver = new Promise<void>((resolve) => (release = resolve));
      for (const name of taken) held.set(name, isOver);
      try {
        return await work();
      } finally {
        for (const name of taken) held.delete(name);
        release();
      }
    },
  };
}
