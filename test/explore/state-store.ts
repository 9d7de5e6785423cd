// The states that were found, by number: their keys, the way to each, and the edges without faults.
import type { Actor } from './step.ts';

/** A list of numbers that grows without boxing them. */
export class NumberList {
  #items = new Int32Array(1 << 12);
  length = 0;

  push(item: number): void {
    if (this.length === this.#items.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.length] = item;
    this.length += 1;
  }

  at(index: number): number {
    return this.#items[index] ?? -1;
  }
}

/** How a state was reached first; `isSwapped`: its workers stand the other way round than they did. */
export interface Way {
  readonly from: number;
  readonly actor: Actor;
  readonly text: string;
  readonly isSwapped: boolean;
}

const actors: readonly Actor[] = [0, 1, 'reconciler', 'receiver', 'clock', 'temporal', 'people'];

export class StateStore {
  readonly keys: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #parents = new NumberList();
  readonly #ways = new NumberList();
  readonly #depths = new NumberList();
  readonly #texts: string[] = [];
  readonly #textNumbers = new Map<string, number>();

  /** The number of that state; `isNew` when it was not known. */
  add(key: string, way: Way): { readonly number: number; readonly isNew: boolean } {
    const known = this.#numbers.get(key);
    if (known !== undefined) return { number: known, isNew: false };
    const number = this.keys.length;
    this.#numbers.set(key, number);
    this.keys.push(key);
    this.#parents.push(way.from);
    const packed = (this.#textNumber(way.text) * actors.length + actors.indexOf(way.actor)) * 2;
    this.#ways.push(packed + (way.isSwapped ? 1 : 0));
    this.#depths.push(way.from < 0 ? 0 : this.#depths.at(way.from) + 1);
    return { number, isNew: true };
  }

  depthOf(number: number): number {
    return this.#depths.at(number);
  }

  /** The shortest way to a state, from the start on. */
  wayTo(number: number): readonly Way[] {
    const ways: Way[] = [];
    for (let at = number; this.#parents.at(at) >= 0; at = this.#parents.at(at)) {
      const packed = this.#ways.at(at);
      const rest = packed >> 1;
      ways.push({
        from: this.#parents.at(at),
        actor: actors[rest % actors.length] ?? 'clock',
        text: this.#texts[Math.floor(rest / actors.length)] ?? '',
        isSwapped: (packed & 1) === 1,
      });
    }
    return ways.reverse();
  }

  #textNumber(text: string): number {
    const known = this.#textNumbers.get(text);
    if (known !== undefined) return known;
    this.#textNumbers.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }
}

/** The way in words: the two workers keep their names, whatever their places. */
export function describeWay(ways: readonly Way[]): readonly string[] {
  let names: readonly [string, string] = ['worker A', 'worker B'];
  return ways.map(({ actor, text, isSwapped }, at) => {
    const who = typeof actor === 'number' ? names[actor] : actor;
    if (isSwapped) names = [names[1], names[0]];
    return `${String(at + 1).padStart(3)}  ${who.padEnd(10)}  ${text}`;
  });
}
