// The ways to run the same workload that are measured side by side, and what their processes are told. Pure.

/** In the order in which the first round runs them. */
export const Contender = {
  Loop: 'loop',
  Commit: 'commit',
  Bare: 'bare',
  Shipped: 'shipped',
  Pawl: 'pawl',
  Local: 'local',
} as const;
export type Contender = (typeof Contender)[keyof typeof Contender];
export const CONTENDERS: readonly Contender[] = Object.values(Contender);

export const CONTENDER_NAMES: PerContender<string> = {
  loop: 'floor: a plain loop, nothing durable',
  commit: 'floor: one PostgreSQL commit a step',
  bare: "bare Temporal SDK, Pawl's settings",
  shipped: 'bare Temporal SDK, as shipped',
  pawl: 'Pawl',
  local: 'Pawl, a short tool (`local`)',
};

/** One value for each contender. */
export type PerContender<T> = Readonly<Record<Contender, T>>;

export function perContender<T>(make: (contender: Contender) => T): PerContender<T> {
  return {
    loop: make('loop'),
    commit: make('commit'),
    bare: make('bare'),
    shipped: make('shipped'),
    pawl: make('pawl'),
    local: make('local'),
  };
}

/** One run: so many turns, each with a model call and a transfer of its own. */
export interface Job {
  /** Unique: it begins the reference of every transfer. */
  readonly run: string;
  readonly turns: number;
}

/** What the receiver joins on: unique for each turn of each run. */
export function referenceOf(run: string, turn: number): string {
  return `${run}-${turn}`;
}

/** The activity whose scheduling begins a turn; undefined without Temporal. */
export const MODEL_ACTIVITIES: PerContender<string | undefined> = {
  loop: undefined,
  commit: undefined,
  bare: 'askModel',
  shipped: 'askModelWith',
  pawl: 'pawl.model',
  local: 'pawl.model',
};

/** Whose steps commit to PostgreSQL. */
export const IN_POSTGRES: readonly Contender[] = ['commit', 'bare', 'pawl', 'local'];

/** Those whose runs are Pawl's. */
export const OF_PAWL: readonly Contender[] = ['pawl', 'local'];

/** The environment of a contender's process, beside DATABASE_URL and TEMPORAL_ADDRESS. */
export const Variable = {
  Provider: 'BENCH_PROVIDER_URL',
  Bank: 'BENCH_BANK_URL',
  /** The port on which a floor takes its runs. */
  Port: 'BENCH_PORT',
  Bundle: 'BENCH_BUNDLE',
  /** Whether the transfer is a `local` tool: `yes` or `no`. */
  LocalTool: 'BENCH_LOCAL_TOOL',
  TaskQueue: 'PAWL_TASK_QUEUE',
  /** Where a process that is to count its SQL statements writes them when it ends. */
  Statements: 'BENCH_STATEMENTS_FILE',
  /** Where the provider writes when each turn began. */
  Turns: 'BENCH_TURNS_FILE',
} as const;

/** A variable of this process. Throws when it is not set. */
export function readVariable(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: this process is started by the benchmark`);
  return value;
}
