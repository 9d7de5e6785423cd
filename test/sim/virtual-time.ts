// Virtual time and its one thread: events in the order of their times, each run to its end before the next one.

export interface VirtualTime {
  /** Milliseconds since the beginning; stands still while an event runs. */
  nowMs(): number;
  after(delayMs: number, run: () => void): void;
  sleep(delayMs: number): Promise<void>;
  /** Runs events until `isOver`; false when none is left, or when there is no end to them. */
  run(isOver: () => boolean): Promise<boolean>;
}

interface Event {
  readonly atMs: number;
  /** Who goes first at the same moment: thrown by the seeded dice. */
  readonly rank: number;
  readonly run: () => void;
}

/** Many times what the longest run needs. */
const EVENTS_MAX = 20_000;

export function createVirtualTime(random: () => number): VirtualTime {
  const events = createHeap();
  let nowMs = 0;
  const time: VirtualTime = {
    nowMs: () => nowMs,
    after(delayMs, run) {
      events.push({ atMs: nowMs + Math.max(0, delayMs), rank: random(), run });
    },
    sleep: (delayMs) => new Promise((resolve) => time.after(delayMs, resolve)),
    async run(isOver) {
      for (let count = 0; count < EVENTS_MAX; count += 1) {
        await promisesSettle();
        if (isOver()) return true;
        const next = events.pop();
        if (!next) return false;
        nowMs = next.atMs;
        next.run();
      }
      return false;
    },
  };
  return time;
}

/** Nothing in a simulation waits for anything real: behind an immediate, every promise has gone as far as it can. */
function promisesSettle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs === other.atMs ? one.rank < other.rank : one.atMs < other.atMs;
}

interface Heap {
  push(event: Event): void;
  pop(): Event | undefined;
}

function createHeap(): Heap {
  const heap: Event[] = [];
  const at = (index: number): Event => heap[index] as Event;
  const swap = (one: number, other: number): void => {
    [heap[one], heap[other]] = [at(other), at(one)];
  };
  function rise(index: number): void {
    const parent = (index - 1) >> 1;
    if (index === 0 || !isBefore(at(index), at(parent))) return;
    swap(index, parent);
    rise(parent);
  }
  function sink(index: number): void {
    let first = index;
    for (const child of [2 * index + 1, 2 * index + 2]) {
      if (child < heap.length && isBefore(at(child), at(first))) first = child;
    }
    if (first === index) return;
    swap(index, first);
    sink(first);
  }
  return {
    push(event) {
      heap.push(event);
      rise(heap.length - 1);
    },
    pop() {
      const [first] = heap;
      const last = heap.pop();
      if (last && heap.length > 0) {
        heap[0] = last;
        sink(0);
      }
      return first;
    },
  };
}
