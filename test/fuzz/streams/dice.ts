// Seeded dice: the same seed throws the same.
import { seededRandom } from '../../../devstack/contrast/plan.ts';

export interface Dice {
  chance(probability: number): boolean;
  /** From 0 to `sides` - 1. */
  below(sides: number): number;
  pick<T>(values: readonly T[]): T;
}

export function createDice(seed: number): Dice {
  const random = seededRandom(seed);
  const below = (sides: number): number => Math.floor(random() * sides);
  return {
    chance: (probability) => random() < probability,
    below,
    pick: <T>(values: readonly T[]): T => values[below(values.length)] as T,
  };
}
