// How Pawl's ids are composed; minting (clock, dice) and hashing happen in activities and clients.
import { assert } from './assert.ts';

/** Identifies one run for ever; a ULID behind `run_`. Temporal's `runId` changes, this does not. */
export type RunKey = `run_${string}`;

/** Where an effect stands: all parts replay identically, so the id does too. */
export interface EffectAddress {
  readonly tenant: string;
  /** The run key of the top of the tree (own run key unless this run is a child). */
  readonly rootKey: string;
  /** Names of the children between the root and this run; empty at the root. */
  readonly path: readonly string[];
  /** The model turn, or 0 in a workflow without an agent loop. */
  readonly turn: number;
  /** The call within the turn (`0`, `1`, …), or the step's name in a plain workflow. */
  readonly call: string;
  /** Rises only by a human decision to send anew under a new key. */
  readonly generation: number;
}

/**
 * The canonical effect id: a JSON array, so that no choice of names makes two addresses collide.
 * Never contains Temporal's run id, model output, an attempt, time or dice (design, section 4, law 1).
 */
export function effectId(address: EffectAddress): string {
  const { tenant, rootKey, path, turn, call, generation } = address;
  assert(rootKey.length > 0, 'an effect id needs a root key');
  assert(call.length > 0, 'an effect id needs a call');
  // JSON writes NaN and Infinity as null: two addresses would share an id.
  assert(isCount(turn) && isCount(generation), 'turn and generation of an effect id are counts');
  return JSON.stringify([tenant, rootKey, ...path, turn, call, generation]);
}

/** The id of what undoes an effect; an address ends with a number, so the two never meet. */
export function compensationId(id: string): string {
  return JSON.stringify([...(JSON.parse(id) as unknown[]), 'compensate']);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** The tenant of everything that names none. */
export const DEFAULT_TENANT = 'default';

const RUN_KEY = /^run_[0-9A-HJKMNP-TV-Z]{26}$/;

/** True for `run_` and a ULID. */
export function isRunKey(value: string): value is RunKey {
  return RUN_KEY.test(value);
}
