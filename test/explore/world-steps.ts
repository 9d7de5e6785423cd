// The steps of everybody but workers and receiver: Temporal, the clock, people and the reconciler.
import { ABSENTS_NEEDED } from '../../domain/rules/next-move.ts';
import { appendEntries, begin, conclude, judgeDoubt, toEntries } from './ledger.ts';
import { type Fails, probed, probeMemory } from './probe-answer.ts';
import {
  HORIZON_TICKS,
  IDLE_FROM_TICKS,
  IDLE_TO_TICKS,
  LEASE_TICKS,
  RETENTION_TICKS,
  SETTLE_TICKS,
} from './setting.ts';
import { nextOrder, processAt, type Stage, step } from './step.ts';
import {
  type Effect,
  effectAt,
  goTo,
  type Message,
  nobody,
  type Notice,
  type Process,
  type World,
} from './world.ts';

const RECONCILER = 2;
/** Temporal's attempts are compared with the tool's limit only: beyond it they are all alike. */
const attemptCap = ({ lab }: Stage): number => lab.setting.sendsMax + 1;

/** Every next step of Temporal for that effect. */
export function temporalSteps(stage: Stage, index: number): void {
  const { activity } = effectAt(stage.world, index);
  const { phase, order, attempt } = activity;
  const name = stage.world.effects.length > 1 ? ` of effect ${index + 1}` : '';
  if (phase === 'scheduled') deliver(stage, index, name);
  if (phase === 'write-back') writeBack(stage, index);
  if (phase === 'started') {
    const isHeld = stage.world.processes.some(
      (process, at) =>
        at !== RECONCILER &&
        process.pc !== 'free' &&
        process.effect === index &&
        process.order === order,
    );
    const again = (draft: World, nextAttempt: number): void => {
      const next = nextOrder(draft);
      Object.assign(effectAt(draft, index).activity, {
        phase: 'scheduled',
        order: next,
        attempt: nextAttempt,
      });
    };
    const timesOut = (draft: World): string => {
      again(draft, Math.min(attempt + 1, attemptCap(stage)));
      return `times out attempt ${attempt}${name} and schedules the next`;
    };
    // A dead worker is noticed in the end: that is no fault. A living one that is too slow is.
    if (isHeld) step(stage, 'temporal', timesOut, 'time-out');
    else step(stage, 'temporal', timesOut);
    const resets = (draft: World): string => {
      again(draft, 1);
      return `resets the activity${name}: attempt 1 again`;
    };
    step(stage, 'temporal', resets, 'activity-reset');
    deliverTwice(stage, index, name);
  }
  if (phase !== 'closed') {
    const ends = (draft: World): string => {
      Object.assign(effectAt(draft, index).activity, {
        phase: 'closed',
        isAlive: false,
        carried: '',
        carriedFence: 0,
      });
      return `the workflow${name} is terminated`;
    };
    step(stage, 'people', ends, 'terminate');
  }
}

function freeWorker(world: World): 0 | 1 | undefined {
  if (world.processes[0].pc === 'free') return 0;
  return world.processes[1].pc === 'free' ? 1 : undefined;
}

/** Names beyond those of the encoding: no claim has them yet. */
const freshName = (at: number): number => 10 + at;

function start(draft: World, at: 0 | 1, index: number, by: number): void {
  const { order, attempt } = effectAt(draft, index).activity;
  draft.processes[at] = { ...nobody(), pc: 'look', effect: index, order, attempt, by };
}

function deliver(stage: Stage, index: number, name: string): void {
  const at = freeWorker(stage.world);
  if (at === undefined) return;
  step(stage, at, (draft) => {
    effectAt(draft, index).activity.phase = 'started';
    start(draft, at, index, freshName(at));
    return `takes attempt ${effectAt(draft, index).activity.attempt}${name}`;
  });
}

/** The same attempt at two workers, and at one process twice: the same claimant. */
function deliverTwice(stage: Stage, index: number, name: string): void {
  const at = freeWorker(stage.world);
  if (at === undefined) return;
  const { by: other, order, pc } = processAt(stage.world, 1 - at);
  const names = new Set([freshName(at)]);
  if (pc !== 'free' && order === effectAt(stage.world, index).activity.order) names.add(other);
  for (const by of names) {
    const twice = (draft: World): string => {
      start(draft, at, index, by);
      return `takes the same attempt${name} again${by === other ? ' in the same process' : ''}`;
    };
    step(stage, at, twice, 'duplicate-delivery');
  }
}

/** What travelled through history while the ledger was down; an agent's workflow believes it without a look. */
function writeBack(stage: Stage, index: number): void {
  step(stage, 'temporal', (draft) => {
    const effect = effectAt(draft, index);
    const { activity } = effect;
    const { carried, carriedFence } = activity;
    const entries = toEntries({ ...nobody(), say: carried, fence: carriedFence });
    appendEntries(stage.lab, draft, index, entries);
    Object.assign(activity, { carried: '', carriedFence: 0 });
    const status = effect.row?.state.status;
    if (status !== 'applied' && status !== 'refused') {
      Object.assign(activity, { phase: 'scheduled', order: nextOrder(draft), attempt: 1 });
      return `writes ${carried} back, and looks again`;
    }
    activity.phase = 'closed';
    activity.told = status;
    activity.toldOutput = status === 'applied' ? (effect.row?.output ?? '') : '';
    return `writes ${carried} back; the workflow goes on with it`;
  });
}

/** A worker's completion: Temporal takes it by the number of its attempt, whoever sends it. */
export function reportSteps(stage: Stage, at: 0 | 1): void {
  const { pc } = processAt(stage.world, at);
  if (pc !== 'report') return;
  step(stage, at, (draft) => {
    const { effect: index, attempt, outcome, output, say, fence } = processAt(draft, at);
    draft.processes[at] = nobody();
    const { activity } = effectAt(draft, index);
    if (activity.phase !== 'started' || activity.attempt !== attempt) {
      return `reports ${outcome}; nobody takes it`;
    }
    switch (outcome) {
      case 'applied':
      case 'refused':
        Object.assign(activity, { phase: 'closed', told: outcome, toldOutput: output });
        break;
      case 'unrecorded':
        Object.assign(activity, { phase: 'write-back', carried: say, carriedFence: fence });
        break;
      default: {
        const next = outcome === 'retry' ? Math.min(attempt + 1, attemptCap(stage)) : 1;
        const order = nextOrder(draft);
        Object.assign(activity, { phase: 'scheduled', order, attempt: next });
      }
    }
    return `reports ${outcome}`;
  });
}

/** The clock, unless somebody is bound to act before its next tick. */
export function clockSteps(stage: Stage): void {
  const { world } = stage;
  const last = LEASE_TICKS + SETTLE_TICKS - 1;
  const isOut = ({ answer }: Message): boolean => answer === '';
  const isDue = (message: Message): boolean => isOut(message) && message.age >= last;
  if (world.effects.some(({ messages }) => messages.some(isDue))) return;
  const ticks = Math.max(...world.effects.map((effect) => ticksOf(stage, effect)));
  if (ticks > 1 && world.effects.some(({ messages }) => messages.some(isOut))) return;
  step(stage, 'clock', (draft) => {
    for (const effect of draft.effects) {
      const { row, receiver, messages } = effect;
      receiver.keyAge += ticks;
      for (const message of messages) message.age = Math.min(message.age + ticks, last);
      if (!row) continue;
      if (row.leaseLeft !== null) row.leaseLeft = Math.max(row.leaseLeft - ticks, -SETTLE_TICKS);
      if (row.sentAge !== null) row.sentAge = Math.min(row.sentAge + ticks, HORIZON_TICKS);
    }
    for (const process of draft.processes) {
      const counts = ['granted', 'checked', 'wire'].includes(process.pc);
      if (counts) process.age = Math.min(process.age + ticks, LEASE_TICKS + 1);
    }
    return ticks === 1 ? 'a tick' : `${ticks} ticks of nothing`;
  });
}

/** The clock jumps over what nothing depends on: the middle of a key's life, and its end once we trust it no more. */
function ticksOf({ lab }: Stage, { row, receiver }: Effect): number {
  if (lab.setting.contract !== 'keyed') return 1;
  const age = row?.sentAge ?? 0;
  if (age === IDLE_FROM_TICKS) return IDLE_TO_TICKS - IDLE_FROM_TICKS;
  if (age < HORIZON_TICKS || receiver.key === 'none') return 1;
  return Math.max(1, RETENTION_TICKS - receiver.keyAge);
}

/** What people do: pause, resume, cancel, and settle what is in doubt by looking at the receiver. */
export function peopleSteps(stage: Stage): void {
  const { world } = stage;
  if (world.isPaused) {
    step(stage, 'people', (draft) => {
      draft.isPaused = false;
      return 'the run is resumed';
    });
  } else {
    const pauses = (draft: World): string => {
      draft.isPaused = true;
      return 'the run is paused';
    };
    step(stage, 'people', pauses, 'pause');
  }
  if (!world.isCancelled) {
    const cancels = (draft: World): string => {
      draft.isCancelled = true;
      return 'the run is cancelled';
    };
    step(stage, 'people', cancels, 'cancel');
  }
  for (const index of world.effects.keys()) settle(stage, index);
}

/** A human looks when lease and settle window are over and the receiver has nothing open. */
function settle(stage: Stage, index: number): void {
  const { row, receiver, notices } = effectAt(stage.world, index);
  if (row?.state.status !== 'in_doubt' || receiver.jobs > 0) return;
  if ((row.leaseLeft ?? -SETTLE_TICKS) > -SETTLE_TICKS) return;
  if (notices.some((notice) => notice.startsWith('settled'))) return;
  const notice: Notice = receiver.receipts > 0 ? 'settled-applied' : 'settled-not';
  const settles = (draft: World): string => {
    effectAt(draft, index).notices.push(notice);
    return `a human writes a settlement: ${notice}`;
  };
  step(stage, 'people', settles, 'settlement');
}

/** The sweep of reconcile.ts, one effect at a time. */
export function reconcilerSteps(stage: Stage): void {
  const { pc, effect: index, say } = processAt(stage.world, RECONCILER);
  const self = (draft: World): Process => processAt(draft, RECONCILER);
  if (pc === 'probe') {
    const asks = (fails: Fails) => (draft: World) => {
      const memory = probed(draft, self(draft), fails);
      goTo(self(draft), 'append', { ...memory, then: '' });
      return `asks the receiver: ${memory.say ?? ''}`;
    };
    step(stage, 'reconciler', asks('not'));
    step(stage, 'reconciler', asks('unclear'), 'probe-unclear');
    step(stage, 'reconciler', asks('asked-again'), 'probe-unclear');
  } else if (pc === 'append') {
    step(stage, 'reconciler', (draft) => {
      const isStored = conclude(stage.lab, draft, self(draft));
      draft.processes[RECONCILER] = nobody();
      if (!isStored) return `leaves it, as it has changed`;
      const status = effectAt(draft, index).row?.state.status ?? '';
      return `appends ${say} (now ${status})`;
    });
  } else for (const at of stage.world.effects.keys()) sweep(stage, at);
}

function sweep(stage: Stage, index: number): void {
  const { row, notices } = effectAt(stage.world, index);
  if (!row) return;
  const isOverdue = row.state.status === 'dispatched' && (row.leaseLeft ?? 0) < 0;
  if (!isOverdue && notices.length === 0) return;
  step(stage, 'reconciler', (draft) => {
    const look = begin(stage.lab, draft, index);
    const process = processAt(draft, RECONCILER);
    if (!look || !isOverdue) return 'folds what waits';
    process.effect = index;
    const { kind } = look.move;
    const isOrphan = !effectAt(draft, index).activity.isAlive;
    const isAbsent = look.row.state.absents >= ABSENTS_NEEDED;
    const asksForOrphan =
      (kind === 'send' || kind === 'resend') && isOrphan && stage.lab.setting.hasProbe && !isAbsent;
    if (kind === 'probe' || asksForOrphan) goTo(process, 'probe', probeMemory(look.row));
    else if (kind === 'doubt' || ((kind === 'send' || kind === 'resend') && isOrphan)) {
      if (kind === 'doubt') judgeDoubt(stage.lab, draft, index);
      goTo(process, 'append', { say: 'silence' });
    } else Object.assign(process, nobody());
    return `sweeps: ${kind}`;
  });
}
