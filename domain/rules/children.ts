// Sub-agents: which of them are started, waited for or ended, and what they may use up. Pure.
import type { CallState, ChildLimits, RunState, Step } from './run.ts';

/** Sub-agents below sub-agents, and sub-agents of one run, where the agent says nothing else. */
export const DEPTH_DEFAULT = 3;
export const CHILDREN_DEFAULT = 10;

/** How many levels of sub-agents a run may still have below it. */
export function depthLeft({ agent, limits }: RunState): number {
  return Math.min(agent?.budget.depth ?? DEPTH_DEFAULT, limits?.depth ?? Infinity);
}

/** The cost that ends a run: its own budget, or what its parent had left for it. */
export function costMaxMicroUsd({ agent, limits }: RunState): number {
  return Math.min(agent?.budget.costMicroUsd ?? Infinity, limits?.costMicroUsd ?? Infinity);
}

/** What `count` sub-agents that begin together may use up, each: nobody can spend what another one has. */
export function childLimits(state: RunState, count: number, deadlineAtMs: number): ChildLimits {
  const left = Math.max(0, costMaxMicroUsd(state) - state.usage.costMicroUsd);
  return {
    depth: depthLeft(state) - 1,
    costMicroUsd: Math.floor(left / Math.max(1, count)),
    deadlineAtMs,
  };
}

/** The path of a sub-agent's effects: unique among all calls of the tree. */
export function childPath(
  path: readonly string[],
  agent: string,
  place: { readonly turn: number; readonly call: string; readonly generation: number },
): readonly string[] {
  return [...path, [agent, place.turn, place.call, place.generation].join('.')];
}

/** Neighbours in the answer begin together; the calls behind them wait for all of them. */
export function childStep(open: readonly CallState[], untilMs: number): Step | undefined {
  const end = open.findIndex((call) => !call.child);
  const children = end === -1 ? open : open.slice(0, end);
  if (children.length === 0) return undefined;
  const ready = children.filter(({ status }) => status === 'ready');
  if (ready.length > 0) return { kind: 'start-children', calls: ready };
  return { kind: 'await-children', calls: children, untilMs };
}

/** Those that may be under way when their parent ends. */
export function openChildren({ calls }: RunState): readonly CallState[] {
  return calls.filter(({ child, status }) => child !== undefined && status !== 'done');
}
