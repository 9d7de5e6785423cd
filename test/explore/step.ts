// One atomic step of the explored world: who does it, what it is called, and which fault it spends.
import type { Lab } from './ledger.ts';
import type { FaultName } from './setting.ts';
import { copy, type Process, type World } from './world.ts';

export type Actor = 0 | 1 | 'reconciler' | 'receiver' | 'clock' | 'temporal' | 'people';

export type Emit = (actor: Actor, text: string, next: World, fault: FaultName | undefined) => void;

/** What the steps of one state are made from. */
export interface Stage {
  readonly lab: Lab;
  readonly world: World;
  readonly emit: Emit;
}

/** Emits the world after `change`, which says in words what it did; a fault needs some budget. */
export function step(
  { world, emit }: Stage,
  actor: Actor,
  change: (draft: World) => string,
  fault?: FaultName,
): void {
  if (fault !== undefined && world.budget === 0) return;
  const draft = copy(world);
  if (fault !== undefined) draft.budget -= 1;
  emit(actor, change(draft), draft, fault);
}

/** The process at that place of a world. */
export function processAt(world: World, at: number): Process {
  const process = world.processes[at];
  if (!process) throw new RangeError(`there is no process ${at}`);
  return process;
}

/** Later than everything that Temporal has scheduled. */
export function nextOrder(world: World): number {
  const orders = [
    ...world.processes.map(({ order }) => order),
    ...world.effects.flatMap(({ row, activity }) => [activity.order, row?.claimOrder ?? 0]),
  ];
  return Math.max(...orders) + 1;
}
