// What may come of a cell: written from the table of what each contract may show, never from the engine.
import { type Cell, isFirstApplied, type Mode } from './cells.ts';
import type { Point } from './points.ts';

/** `failed`: a read that was given up. */
export type End = 'applied' | 'refused' | 'in_doubt' | 'failed';

/** One way in which a cell may end, by the receiver's own log. */
export interface Allowed {
  readonly end: End;
  readonly receipts: 0 | 1;
}

const APPLIED: Allowed = { end: 'applied', receipts: 1 };
const REFUSED: Allowed = { end: 'refused', receipts: 0 };
const doubt = (receipts: 0 | 1): Allowed => ({ end: 'in_doubt', receipts });

/** What a cell is judged by besides its own data: what became of it on this machine. */
export interface Circumstances {
  /** False: the process died somewhere else than at the point. */
  readonly isStruck?: boolean;
  /** False: no request has ever arrived whole at the receiver. */
  readonly hasArrived?: boolean;
}

/** Every end that the contract allows. */
export function predict(cell: Cell, circumstances: Circumstances = {}): readonly Allowed[] {
  const { contract, mode } = cell;
  const { isStruck = true, hasArrived = true } = circumstances;
  switch (contract) {
    case 'read':
      return [ofRead(mode)];
    case 'transactional':
      // Rows and outcome are one commit: it always resolves, and it is never in doubt.
      return [mode === 'reject-before' || mode === '500-after' ? REFUSED : APPLIED];
    case 'keyed':
      return ofKeyed(cell, isStruck, hasArrived);
    case 'reconcilable':
      // The look-up of these cells can always tell: never in doubt.
      return [mode === 'reject-before' ? REFUSED : APPLIED];
    case 'once':
      return isStruck ? ofOnce(cell) : [alone(mode), doubt(0), doubt(isFirstApplied(mode) ? 1 : 0)];
  }
}

/** Nothing is written; a look-up that never works is a failure, not a doubt. */
function ofRead(mode: Mode): Allowed {
  if (mode === 'reject-before') return REFUSED;
  return { end: mode === '500-after' ? 'failed' : 'applied', receipts: 0 };
}

/** One receipt within the horizon; in doubt only behind it, or when the receiver repeats its 5xx for ever. */
function ofKeyed(
  { point, mode }: Cell,
  isStruck: boolean,
  hasArrived: boolean,
): readonly Allowed[] {
  switch (mode) {
    case 'reject-before':
      return [REFUSED];
    case '500-after':
      return [doubt(1)];
    case 'key-expired-asked':
      return [APPLIED];
    case 'key-expired': {
      if (!isStruck) return [APPLIED, doubt(0), doubt(1)];
      if (point === 4 || !hasArrived) return [doubt(0)];
      // The commit of the outcome is on the wire when the process dies.
      return point === 8 ? [APPLIED, doubt(1)] : [doubt(1)];
    }
    default:
      return [APPLIED];
  }
}

/** What a single send amounts to when its process lives: only a definite answer is one. */
function alone(mode: Mode): Allowed {
  if (mode === 'ok') return APPLIED;
  if (mode === 'reject-before') return REFUSED;
  return doubt(isFirstApplied(mode) ? 1 : 0);
}

/** Never a second send; in doubt are exactly those that died between the permit and its record. */
function ofOnce({ point, mode }: Cell): readonly Allowed[] {
  const sent = doubt(isFirstApplied(mode) ? 1 : 0);
  const unsent: readonly Point[] = [0, 1, 2, 14];
  const recorded: readonly Point[] = [9, 10, 11];
  if (unsent.includes(point) || recorded.includes(point)) return [alone(mode)];
  switch (point) {
    case 3:
      // The permit was committed or it was not: nobody is told.
      return [doubt(0), alone(mode)];
    case 4:
      return [doubt(0)];
    case 5:
      // The kernel may or may not have had the bytes.
      return [doubt(0), sent];
    case 8:
      return [alone(mode), sent];
    default:
      return [sent];
  }
}

/** In doubt is the only end, or one of several, or none. */
export function doubtOf(allowed: readonly Allowed[]): 'must' | 'may' | 'never' {
  const doubts = allowed.filter(({ end }) => end === 'in_doubt').length;
  if (doubts === 0) return 'never';
  return doubts === allowed.length ? 'must' : 'may';
}
