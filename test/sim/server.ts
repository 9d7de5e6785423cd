// Temporal's side of one activity, as measured: attempts, time-outs, retries, resets, doubled tasks, and who may complete.
import { ApplicationFailure } from '@temporalio/common';
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import { dice } from './cells.ts';
import type { SimProcess } from './process.ts';
import { wireMs } from './receiver.ts';
import type { World } from './world.ts';

/** One attempt as a process is given it. */
export interface Task {
  readonly activity: string;
  readonly attempt: number;
  /** `currentAttemptScheduledTimestampMs`. */
  readonly scheduledAtMs: number;
  /** `scheduledTimestampMs`: of the activity's first attempt. */
  readonly firstScheduledAtMs: number;
  readonly work: Work;
}

/** What a worker does for a task; a rejection is the attempt's failure. */
export type Work = (process: SimProcess, task: Task) => Promise<unknown>;

export interface Server {
  /** Runs an activity to its end, over as many attempts as it takes. */
  execute(activity: string, work: Work): Promise<unknown>;
  /** A worker has come up. */
  poll(): void;
  /** `temporal activity reset`: the attempts are counted from 1 again. */
  reset(): void;
  /** `temporal workflow terminate`: nobody hears of its activities any more. */
  terminate(): void;
}

interface Activity {
  readonly name: string;
  readonly work: Work;
  readonly end: { resolve(value: unknown): void; reject(error: unknown): void };
  phase: 'backoff' | 'queued' | 'started' | 'closed';
  attempt: number;
  scheduledAtMs: number;
  firstScheduledAtMs: number | undefined;
  started: Task | undefined;
  isReset: boolean;
}

/** As in workflows/activity-options.ts: the tool's 2 s and what the ledger needs. */
export const START_TO_CLOSE_MS = 12_000;
export const HEARTBEAT_MS = 5_000;
const BEAT_MS = HEARTBEAT_MS / 3;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 5_000;

export function createServer(world: World, processes: () => readonly SimProcess[]): Server {
  const open: Activity[] = [];
  const { time, random } = world;

  function schedule(activity: Activity): void {
    if (activity.phase === 'closed') return;
    activity.phase = 'queued';
    activity.scheduledAtMs = Math.floor(time.nowMs());
    activity.firstScheduledAtMs ??= activity.scheduledAtMs;
    time.after(wireMs(random), () => dispatch(activity));
  }

  function dispatch(activity: Activity): void {
    if (activity.phase !== 'queued') return;
    // A frozen worker's open polls still win tasks.
    const polling = processes().filter((process) => process.isAlive());
    const process = polling[dice(random, polling.length) - 1];
    if (!process) return;
    const { name, attempt, scheduledAtMs, work } = activity;
    const { firstScheduledAtMs = scheduledAtMs } = activity;
    world.count.triedForMs = Math.max(world.count.triedForMs, scheduledAtMs - firstScheduledAtMs);
    const task: Task = { activity: name, attempt, scheduledAtMs, firstScheduledAtMs, work };
    activity.phase = 'started';
    activity.started = task;
    hand(activity, task, process);
    watch(activity, task, process);
    time.after(START_TO_CLOSE_MS, () => timeOut(activity, task, 'start to close'));
    if (!world.chance(world.plan.duplicates)) return;
    const other = processes().find((each) => each !== process && each.isWell());
    if (other) hand(activity, task, other);
  }

  function hand(activity: Activity, task: Task, process: SimProcess): void {
    world.note('temporal', `${task.activity} attempt ${task.attempt} to ${process.name}`);
    const answer = (run: () => void): void => {
      world.time.after(wireMs(random), () => {
        // The worker died right behind its answer: it may have left or not.
        if (!process.isAlive() && world.chance(0.5)) return;
        run();
      });
    };
    process.deliver(() => {
      task.work(process, task).then(
        (value) => {
          answer(() => complete(activity, task, value));
          void world.hookOf(process)('after-return', '');
        },
        (error: unknown) => answer(() => fail(activity, task, error)),
      );
    });
  }

  /** Heartbeats: whoever is silent for so long is given up. */
  function watch(activity: Activity, task: Task, process: SimProcess): void {
    const check = (): void => {
      if (activity.started !== task) return;
      if (process.isWell()) watch(activity, task, process);
      else timeOut(activity, task, 'heartbeat');
    };
    if (process.isWell()) {
      process.onSilence(() => time.after(HEARTBEAT_MS - random() * BEAT_MS, check));
    } else time.after(HEARTBEAT_MS, check);
  }

  function timeOut(activity: Activity, task: Task, which: string): void {
    if (activity.started !== task || activity.phase !== 'started') return;
    world.note('temporal', `${task.activity} attempt ${task.attempt}: ${which} time-out`);
    retry(activity, Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (activity.attempt - 1)));
  }

  function retry(activity: Activity, delayMs: number): void {
    activity.attempt = activity.isReset ? 1 : activity.attempt + 1;
    activity.isReset = false;
    activity.phase = 'backoff';
    activity.started = undefined;
    time.after(delayMs, () => schedule(activity));
  }

  /** By the number of the attempt alone: after a reset, a zombie's answer is taken. */
  const isCurrent = (activity: Activity, task: Task): boolean =>
    activity.phase === 'started' && activity.attempt === task.attempt;

  function complete(activity: Activity, task: Task, value: unknown): void {
    if (!isCurrent(activity, task)) return world.note('temporal', 'an answer that nobody awaits');
    close(activity);
    activity.end.resolve(value);
  }

  function fail(activity: Activity, task: Task, error: unknown): void {
    const failure = error instanceof ApplicationFailure ? error : undefined;
    if (!failure && !(error instanceof LedgerUnavailable)) world.surprises.push(String(error));
    const why = failure ? `${failure.type}: ${failure.message}` : String(error);
    world.note('temporal', `attempt ${task.attempt} failed: ${why}`);
    if (!isCurrent(activity, task)) return;
    if (failure?.nonRetryable) {
      close(activity);
      return activity.end.reject(error);
    }
    retry(activity, Number(failure?.nextRetryDelay ?? RETRY_FIRST_MS));
  }

  function close(activity: Activity): void {
    activity.phase = 'closed';
    activity.started = undefined;
    open.splice(open.indexOf(activity), 1);
  }

  return {
    execute: (name, work) =>
      new Promise((resolve, reject) => {
        const activity: Activity = {
          name,
          work,
          end: { resolve, reject },
          phase: 'backoff',
          attempt: 1,
          scheduledAtMs: 0,
          firstScheduledAtMs: undefined,
          started: undefined,
          isReset: false,
        };
        open.push(activity);
        schedule(activity);
      }),
    poll: () => open.forEach(dispatch),
    reset() {
      for (const activity of open) {
        world.note('temporal', `${activity.name}: reset`);
        activity.isReset = true;
        // Sooner than the server would: a reset attempt and the one before it are at work together.
        if (activity.phase === 'started') retry(activity, 1);
      }
    },
    terminate() {
      for (const activity of [...open]) close(activity);
    },
  };
}
