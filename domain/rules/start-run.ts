// How a run begins, and how it begins again after continue-as-new. Pure; the rules version is pinned here.
import type { ChildLimits, RunState } from './run.ts';

/** What identifies a run; all of it is minted at intake. */
export interface RunOrigin {
  readonly tenant: string;
  readonly runKey: string;
  readonly rootKey: string;
  readonly path: readonly string[];
  readonly agent: string;
  readonly generation: number;
  /** The first turn, of a fork. @default 1 */
  readonly turn?: number;
  /** The run waits for its user between turns. @default false */
  readonly session?: boolean;
  /** Of a sub-agent: who waits for it, and what it may use up. */
  readonly parent?: string;
  readonly limits?: ChildLimits;
  /** An execution before it had begun the run: its time counts. */
  readonly again?: { readonly startedAtMs: number };
}

/** The state before the first step. */
export function startRun(origin: RunOrigin, startedAtMs: number): RunState {
  const { parent, limits, again } = origin;
  const { tenant, runKey, rootKey, path, agent, generation, turn = 1, session = false } = origin;
  return {
    v: 1,
    rules: 1,
    tenant,
    runKey,
    rootKey,
    path,
    agentName: agent,
    startedAtMs: again?.startedAtMs ?? startedAtMs,
    turn,
    generation,
    seq: 0,
    calls: [],
    usage: { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, costMicroUsd: 0 },
    denials: 0,
    repeated: { fingerprint: '', count: 0 },
    invalidAnswers: 0,
    ...(parent ? { parent } : {}),
    ...(limits ? { limits } : {}),
    ...(session ? { session: { sinceTurn: turn, isAwake: false, isEnded: false } } : {}),
    control: { paused: false, cancelled: false },
  };
}

/** After continue-as-new everything that waits looks at its row once: a signal may have come in between. */
export function wakeWaiting(carried: RunState): RunState {
  const calls = carried.calls.map((call) =>
    call.status === 'done' ? call : { ...call, status: 'ready' as const },
  );
  const { session } = carried;
  return { ...carried, calls, ...(session ? { session: { ...session, isAwake: true } } : {}) };
}
