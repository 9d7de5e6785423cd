// Gates for tests of frozen processes: code stops at one until the test opens it.
export interface Gate {
  /** Resolves when somebody has arrived. */
  readonly reached: Promise<void>;
  open(): void;
  /** Arrives, and waits until the gate is open. */
  pass(): Promise<void>;
}

export function createGate(): Gate {
  let arrive = (): void => undefined;
  let open = (): void => undefined;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    reached,
    open: () => open(),
    pass: () => {
      arrive();
      return opened;
    },
  };
}
