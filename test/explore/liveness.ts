// Liveness over the explored graph: which states have no fault-free way to an end, found by walking backwards.
import { NumberList } from './state-store.ts';

/** Edges without a fault; `isWorkers`: a worker or Temporal has to act for it. */
export class Graph {
  readonly #from = new NumberList();
  readonly #to = new NumberList();

  add(from: number, to: number, isWorkers: boolean): void {
    this.#from.push(from);
    this.#to.push(to * 2 + (isWorkers ? 1 : 0));
  }

  /** Marks every state that can reach one of `ends`; without workers when told so. */
  reaching(count: number, ends: readonly number[], withoutWorkers: boolean): Uint8Array {
    const { starts, sources } = this.#backwards(count, withoutWorkers);
    const reached = new Uint8Array(count);
    const open = [...ends];
    for (const end of ends) reached[end] = 1;
    for (let to = open.pop(); to !== undefined; to = open.pop()) {
      for (let at = starts[to] ?? 0; at < (starts[to + 1] ?? 0); at += 1) {
        const from = sources[at] ?? 0;
        if (reached[from] === 1) continue;
        reached[from] = 1;
        open.push(from);
      }
    }
    return reached;
  }

  /** For every state the states before it, as one list with the place where each begins. */
  #backwards(
    count: number,
    withoutWorkers: boolean,
  ): { readonly starts: Int32Array; readonly sources: Int32Array } {
    const starts = new Int32Array(count + 1);
    const counts = (packed: number): boolean => !withoutWorkers || (packed & 1) === 0;
    for (let at = 0; at < this.#to.length; at += 1) {
      const packed = this.#to.at(at);
      if (counts(packed)) starts[(packed >> 1) + 1] = (starts[(packed >> 1) + 1] ?? 0) + 1;
    }
    for (let at = 0; at < count; at += 1) {
      starts[at + 1] = (starts[at + 1] ?? 0) + (starts[at] ?? 0);
    }
    const next = starts.slice();
    const sources = new Int32Array(starts[count] ?? 0);
    for (let at = 0; at < this.#to.length; at += 1) {
      const packed = this.#to.at(at);
      if (!counts(packed)) continue;
      const place = next[packed >> 1] ?? 0;
      next[packed >> 1] = place + 1;
      sources[place] = this.#from.at(at);
    }
    return { starts, sources };
  }
}
