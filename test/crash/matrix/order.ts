// What a worker process of the matrix is told, by a file, and what it says of itself, by another; shared by both sides.
import type { Blow } from './cells.ts';

/** One order: poll this queue, and die, or stand still to be killed, at these passages. */
export interface Order {
  readonly taskQueue: string;
  /** By the tool's name. */
  readonly blows: Readonly<Record<string, Blow>>;
  readonly reconcileEveryMs: number;
}

/** The folder in which a process finds its orders: `n.json`, and `n.end` when that worker is to stop. */
export const ORDERS = 'CRASH_ORDERS';
/** The file to which it appends the name of each tool that stands at its point. */
export const STANDING = 'CRASH_STANDING';
