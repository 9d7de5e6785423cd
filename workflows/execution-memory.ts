// What one execution remembers beside its run's state. Modules are shared by all executions of a thread and hold none.

export interface ExecutionMemory {
  /** How often `effect()` was called, by tool and run key. */
  readonly counts: Map<string, number>;
  /** The highest ledger sequence that this execution has seen, by run key. */
  readonly seqSeen: Map<string, number>;
  /** The effects that settlements were signalled for, in order; `''` where a signal names none. */
  readonly wakes: string[];
  /** How often a run has looked at an effect, and what it was then; by short id. */
  readonly looks: Map<string, { readonly count: number; readonly what: string }>;
  /** What is waited for: the lines of Temporal's UI. */
  readonly waits: Set<{ readonly text: string }>;
  /** What the UI showed before anything was waited for. */
  details: string;
}

/** Of the execution that asks: the sandbox gives each one a global object of its own, and takes it at its end. */
export function executionMemory(): ExecutionMemory {
  const own = globalThis as { pawlExecutionMemory?: ExecutionMemory };
  return (own.pawlExecutionMemory ??= {
    counts: new Map(),
    seqSeen: new Map(),
    wakes: [],
    looks: new Map(),
    waits: new Set(),
    details: '',
  });
}
