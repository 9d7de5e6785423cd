// What a supervisor tells while it works, as text for people and as one JSON object per line for machines.
import type { ReadyWorker } from './messages.ts';
import type { Settled } from './settle.ts';

export type Notice =
  | { readonly event: 'starting'; readonly pid: number }
  | { readonly event: 'spare'; readonly pid: number; readonly readyMs: number }
  | {
      readonly event: 'polling';
      readonly pid: number;
      readonly identities: readonly string[];
      readonly taskQueues: readonly string[];
      readonly afterStartMs: number;
      /** Since it was told to: all that a warm spare needs. */
      readonly afterWordMs: number;
    }
  | {
      readonly event: 'died';
      readonly pid: number;
      readonly identities: readonly string[];
      readonly how: string;
      /** False for a spare: it held nothing. */
      readonly hadRun: boolean;
    }
  | ({ readonly event: 'settled'; readonly identity: string; readonly tookMs: number } & Settled)
  | { readonly event: 'crash-loop'; readonly deaths: number; readonly pauseMs: number }
  | { readonly event: 'problem'; readonly message: string }
  | { readonly event: 'stopping'; readonly processes: number }
  | { readonly event: 'stopped' };

export type Notify = (notice: Notice) => void;

/** One line without its end. */
export function toText(notice: Notice): string {
  switch (notice.event) {
    case 'starting':
      return `starting a worker (pid ${notice.pid})`;
    case 'spare':
      return `pid ${notice.pid} is the warm spare (ready after ${seconds(notice.readyMs)})`;
    case 'polling': {
      const queues = notice.taskQueues.map((name) => `"${name}"`).join(', ');
      const times = `${seconds(notice.afterStartMs)} after its start, ${Math.round(notice.afterWordMs)} ms after the word`;
      return `pid ${notice.pid} polls ${queues} as ${notice.identities.join(', ')} (${times})`;
    }
    case 'died':
      return `pid ${notice.pid} died: ${notice.how}${notice.hadRun ? '' : ' (it did not run yet)'}`;
    case 'settled':
      return settledText(notice);
    case 'crash-loop':
      return (
        `${notice.deaths} workers in a row died right after their start: what they do kills them, see their output above. ` +
        `The next one in ${seconds(notice.pauseMs)}; what they held is left to Temporal's time-outs`
      );
    case 'problem':
      return notice.message;
    case 'stopping':
      return `stopping ${count(notice.processes, 'process', 'processes')}: what is on the wire is finished (again to end at once)`;
    case 'stopped':
      return 'stopped';
  }
}

function settledText(notice: Notice & { event: 'settled' }): string {
  const { activities, workflowTasks, workflows, tookMs, isComplete, problems } = notice;
  const rest = isComplete ? '' : '; not all were looked at in time, the rest waits for time-outs';
  const wrong = problems.length > 0 ? `; ${problems.join('; ')}` : '';
  return (
    `handed back ${count(activities, 'activity', 'activities')} and ${count(workflowTasks, 'workflow task', 'workflow tasks')} ` +
    `of ${notice.identity} (${workflows} running workflows looked at, ${seconds(tookMs)})${rest}${wrong}`
  );
}

function count(many: number, one: string, more: string): string {
  return `${many} ${many === 1 ? one : more}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** The names of the workers in a process. */
export function namesOf(workers: readonly ReadyWorker[]): {
  readonly identities: readonly string[];
  readonly taskQueues: readonly string[];
} {
  return {
    identities: workers.map(({ identity }) => identity),
    taskQueues: [...new Set(workers.map(({ taskQueue }) => taskQueue))],
  };
}
