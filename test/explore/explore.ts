// The breadth-first explorer: every state that a setting can reach, what breaks on the way, and what leads to an end.
import { decode, encode } from './encoding.ts';
import { isEnd, isOrphaned, judgeState } from './judge-state.ts';
import type { Lab } from './ledger.ts';
import { Graph } from './liveness.ts';
import { productionRules, type Rules } from './rules.ts';
import type { FaultName, Setting } from './setting.ts';
import { describeWay, StateStore, type Way } from './state-store.ts';
import type { Actor, Stage } from './step.ts';
import { type Broken, initialWorld, type Property, type World } from './world.ts';
import { receiverSteps } from './receiver-steps.ts';
import { workerSteps } from './worker-steps.ts';
import {
  clockSteps,
  peopleSteps,
  reconcilerSteps,
  reportSteps,
  temporalSteps,
} from './world-steps.ts';

export interface Violation {
  readonly property: Property;
  readonly what: string;
  /** The shortest way there, one step a line. */
  readonly trace: readonly string[];
}

export interface Explored {
  readonly setting: Setting;
  readonly states: number;
  readonly edges: number;
  /** The length of the longest of the shortest ways. */
  readonly depth: number;
  /** False: the exploration ended early, and what lies beyond is unknown. */
  readonly isComplete: boolean;
  readonly violations: readonly Violation[];
  /** How often each fault was taken, over all edges. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  /** How often each change of status was seen: `intended -> dispatched`. */
  readonly statusEdges: Readonly<Record<string, number>>;
  readonly seconds: number;
}

export interface ExploreOptions {
  /** @default production's */
  readonly rules?: Rules;
  /** @default 10_000_000 */
  readonly statesMax?: number;
  /** Ends at the first violation. @default false */
  readonly stopsAtFirst?: boolean;
}

interface Search {
  readonly setting: Setting;
  readonly lab: Lab;
  readonly store: StateStore;
  readonly graph: Graph;
  readonly violations: Map<Property, Violation>;
  readonly faults: Partial<Record<FaultName, number>>;
  readonly statusEdges: Record<string, number>;
  /** Of states: where nothing is left to do, and where every workflow is gone. */
  readonly ends: number[];
  readonly orphaned: number[];
  edges: number;
}

/** Explores everything that the setting's budget of faults can reach. */
export function explore(
  setting: Setting,
  { rules = productionRules, statesMax = 10_000_000, stopsAtFirst = false }: ExploreOptions = {},
): Explored {
  const startedAtMs = performance.now();
  const search = createSearch(setting, rules);
  const { keys } = search.store;
  addState(search, initialWorld(setting), { from: -1, actor: 'clock', text: '', isSwapped: false });
  let at = 0;
  for (; at < keys.length && keys.length <= statesMax; at += 1) {
    if (stopsAtFirst && search.violations.size > 0) break;
    expand(search, at);
  }
  const isComplete = at === keys.length;
  // What lies behind a violation is not explored: every state before it would look stuck.
  if (isComplete && search.violations.size === 0) judgeLiveness(search);
  return {
    setting,
    states: keys.length,
    edges: search.edges,
    depth: search.store.depthOf(keys.length - 1),
    isComplete,
    violations: [...search.violations.values()],
    faults: search.faults,
    statusEdges: search.statusEdges,
    seconds: (performance.now() - startedAtMs) / 1_000,
  };
}

function createSearch(setting: Setting, rules: Rules): Search {
  const statusEdges: Record<string, number> = {};
  const onEdge: Lab['onEdge'] = (before, after) => {
    if (before.status === after.status) return;
    const name = `${before.status} -> ${after.status}`;
    statusEdges[name] = (statusEdges[name] ?? 0) + 1;
  };
  return {
    setting,
    lab: { rules, setting, onEdge },
    store: new StateStore(),
    graph: new Graph(),
    violations: new Map(),
    faults: {},
    statusEdges,
    ends: [],
    orphaned: [],
    edges: 0,
  };
}

function expand(search: Search, from: number): void {
  const effects = search.setting.identity === 'none' ? 1 : 2;
  const world = decode(search.store.keys[from] ?? '', effects);
  const emit: Stage['emit'] = (actor, text, next, fault) => {
    search.edges += 1;
    if (fault !== undefined) search.faults[fault] = (search.faults[fault] ?? 0) + 1;
    const way: Way = { from, actor, text, isSwapped: false };
    const broken = next.broken ?? judgeState(next);
    if (broken) {
      noteViolation(search, broken, way);
      return;
    }
    const to = addState(search, next, way);
    if (fault === undefined && to !== from) search.graph.add(from, to, isWorkers(actor));
  };
  const stage: Stage = { lab: search.lab, world, emit };
  for (const at of [0, 1] as const) {
    workerSteps(stage, at);
    reportSteps(stage, at);
  }
  reconcilerSteps(stage);
  for (const index of world.effects.keys()) {
    temporalSteps(stage, index);
    receiverSteps(stage, index);
  }
  clockSteps(stage);
  peopleSteps(stage);
}

const isWorkers = (actor: Actor): boolean => typeof actor === 'number' || actor === 'temporal';

/** The number of the state; what is new is looked at for its ends. */
function addState(search: Search, world: World, way: Way): number {
  const { key, isSwapped } = encode(world, search.setting);
  const { number, isNew } = search.store.add(key, { ...way, isSwapped });
  if (isNew) {
    if (isEnd(world, search.setting)) search.ends.push(number);
    if (isOrphaned(world)) search.orphaned.push(number);
  }
  return number;
}

function noteViolation({ store, violations }: Search, broken: Broken, way: Way): void {
  const { property, what } = broken;
  if (violations.has(property)) return;
  const trace = describeWay([...store.wayTo(way.from), way]);
  violations.set(property, { property, what, trace });
}

/** A state without a way to an end: the first found has the shortest way to it. */
function judgeLiveness(search: Search): void {
  const count = search.store.keys.length;
  const settles = search.graph.reaching(count, search.ends, false);
  noteStuck(search, 'settles', settles.indexOf(0));
  const swept = search.graph.reaching(count, search.ends, true);
  const left = search.orphaned.find((number) => swept[number] === 0);
  noteStuck(search, 'swept', left ?? -1);
}

function noteStuck({ store, violations }: Search, property: Property, number: number): void {
  if (number < 0) return;
  const what = 'from here no continuation without faults comes to an end';
  violations.set(property, { property, what, trace: describeWay(store.wayTo(number)) });
}
