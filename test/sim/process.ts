// One worker process: it dies with all it holds, or freezes and wakes; nothing reaches it, or leaves it, in between.
import type { Clock } from '../../activities/clock.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface SimProcess {
  readonly name: string;
  isAlive(): boolean;
  isFrozen(): boolean;
  /** Alive and running: its heartbeats arrive. */
  isWell(): boolean;
  /** What arrives for it: run now, kept until it thaws, or lost with it. */
  deliver(run: () => void): void;
  die(): void;
  freeze(forMs: number): void;
  /** It was frozen for longer than `forMs`, and has woken after `sinceMs`. */
  hasSlept(sinceMs: number, forMs: number): boolean;
  /** Resolves when it is neither dead nor frozen: for a dead one, never. */
  isBack(): Promise<void>;
  /** Called once, when it dies or first freezes after now. */
  onSilence(run: () => void): void;
  onDeath(run: () => void): void;
  readonly clock: Clock;
}

export interface ProcessOptions {
  readonly name: string;
  readonly time: VirtualTime;
  readonly random: () => number;
  /** Sees every message before the process does; may end it. */
  readonly onMessage: (process: SimProcess) => void;
}

export function createProcess({ name, time, random, onMessage }: ProcessOptions): SimProcess {
  let state: 'well' | 'frozen' | 'dead' = 'well';
  let frozenAtMs = 0;
  let thawsAtMs = 0;
  const sleeps: { readonly lengthMs: number; readonly endedAtMs: number }[] = [];
  let kept: (() => void)[] = [];
  let silence: (() => void)[] = [];
  let death: (() => void)[] = [];

  const tell = (listeners: (() => void)[]): void => listeners.forEach((listener) => listener());

  function fallSilent(): void {
    const heard = silence;
    silence = [];
    tell(heard);
  }

  function thaw(): void {
    if (state !== 'frozen' || time.nowMs() < thawsAtMs) return;
    state = 'well';
    sleeps.push({ lengthMs: time.nowMs() - frozenAtMs, endedAtMs: time.nowMs() });
    const waiting = kept;
    kept = [];
    // Timers and sockets that are ready at once come in any order.
    for (const run of waiting) time.after(random() * 5, () => process.deliver(run));
  }

  const process: SimProcess = {
    name,
    isAlive: () => state !== 'dead',
    isFrozen: () => state === 'frozen',
    isWell: () => state === 'well',
    deliver(run) {
      if (state === 'well') onMessage(process);
      // Read anew: the message may have been its last.
      const now: string = state;
      if (now === 'well') run();
      else if (now === 'frozen') kept.push(run);
    },
    die() {
      if (state === 'dead') return;
      state = 'dead';
      kept = [];
      fallSilent();
      tell(death);
      death = [];
    },
    freeze(forMs) {
      if (state === 'dead') return;
      if (state === 'well') frozenAtMs = time.nowMs();
      state = 'frozen';
      thawsAtMs = Math.max(thawsAtMs, time.nowMs() + forMs);
      time.after(forMs, thaw);
      fallSilent();
    },
    hasSlept: (sinceMs, forMs) =>
      sleeps.some(({ lengthMs, endedAtMs }) => endedAtMs > sinceMs && lengthMs > forMs),
    isBack: () =>
      new Promise((resolve) => {
        if (state === 'well') resolve();
        else if (state === 'frozen') kept.push(resolve);
      }),
    onSilence: (run) => void silence.push(run),
    onDeath: (run) => void death.push(run),
    clock: {
      nowMs: () => time.nowMs(),
      sleep: (delayMs) =>
        new Promise((resolve) => time.after(delayMs, () => process.deliver(resolve))),
      deadline(delayMs) {
        const controller = new AbortController();
        const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
        time.after(delayMs, () => process.deliver(() => controller.abort(reason)));
        return { signal: controller.signal, cancel: () => undefined };
      },
    },
  };
  return process;
}
