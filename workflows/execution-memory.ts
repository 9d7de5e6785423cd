// What one execution remembers beside its run's state. Modules are shared by all executions of a thread and hold none.

export interface ExecutionMemory {
  /** How often `effect()` was called, by tool and run key. */
  readonly counts: Map<string, number>;
  /** The highest ledger sequence that this execution has seen, by run key. */
  readonly seqSeen: Map<string, number>;
  /** How often a settlement has woken it. */
  wakes: number;
}

/** Of the execution that asks: the sandbox gives each one a global object of its own, and takes it at its end. */
export function executionMemory(): ExecutionMemory {
  const own = globalThis as { pawlExecutionMemory?: ExecutionMemory };
  return (own.pawlExecutionMemory ??= { counts: new Map(), seqSeen: new Map(), wakes: 0 });
}
