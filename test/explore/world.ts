// The explored world: ledger rows, Temporal's side, the receiver, the wire and what each process holds in memory.
import type { EffectState } from '../../domain/rules/effect.ts';
import { INTENDED } from '../../domain/rules/effect.ts';
import type { Setting } from './setting.ts';

/** Where a worker stands between two atomic steps. */
export const pcs = [
  'free',
  'look',
  'intend',
  'dispatch',
  'granted',
  'checked',
  'wire',
  'probe',
  'append',
  'report',
] as const;
export type Pc = (typeof pcs)[number];

/** What a process has seen and has not appended yet. */
export const sayings = [
  '',
  'applied',
  'refused',
  'not-sent',
  'refused-unwritten',
  'ambiguous',
  'pending',
  'doubted',
  'silence',
  'unprocessable',
  'withdrawn',
  'adopted',
  'seen-applied',
  'absent',
  'unclear',
  'unclear-doubted',
] as const;
export type Saying = (typeof sayings)[number];

/** How the engine goes on behind an append. */
export const sequels = ['', 'tell', 'withdraw', 'loop', 'answer'] as const;
export type Sequel = (typeof sequels)[number];

export const outcomes = [
  '',
  'retry',
  'applied',
  'refused',
  'in_doubt',
  'pending',
  'paused',
  'unrecorded',
] as const;
export type OutcomeName = (typeof outcomes)[number];

/** Who said that it is applied: the output that is stored. */
export const outputs = ['', 'response', 'probe', 'webhook', 'human'] as const;
export type Output = (typeof outputs)[number];

export interface Process {
  pc: Pc;
  effect: number;
  /** The claim: Temporal's scheduled time as a rank, its attempt, and who. */
  order: number;
  attempt: number;
  by: number;
  /** Of the permit, or of the record that a probe was made for. */
  fence: number;
  /** Ticks since the permit was asked for. */
  age: number;
  isResend: boolean;
  /** Of the look. */
  ignoresIdentity: boolean;
  wasOpen: boolean;
  wasIntended: boolean;
  wasSent: boolean;
  isConclusive: boolean;
  isWaiting: boolean;
  /** What it concludes from has changed since it looked. */
  isStale: boolean;
  say: Saying;
  output: Output;
  then: Sequel;
  outcome: OutcomeName;
}

/** A row of pawl.effects; times are ticks from now. */
export interface Row {
  state: EffectState;
  output: Output;
  isAdopted: boolean;
  holdsIdentity: boolean;
  /** A rank among the fences that somebody still holds. */
  fence: number;
  claimOrder: number;
  /** 0: nobody yet. */
  claimedBy: number;
  leaseLeft: number | null;
  sentAge: number | null;
  /** The fences whose `not_sent` is stored, as bits. */
  unsentFences: number;
}

export const phases = ['scheduled', 'started', 'write-back', 'closed'] as const;
export type Phase = (typeof phases)[number];

/** Temporal's activity of one effect, and what its workflow was told. */
export interface Activity {
  phase: Phase;
  order: number;
  attempt: number;
  isAlive: boolean;
  told: OutcomeName;
  toldOutput: Output;
  /** What travels through history while the ledger is down, and the fence of its permit. */
  carried: Saying;
  carriedFence: number;
}

export const keyStates = ['none', 'applied', 'refused', 'working', 'sticky'] as const;
export type KeyState = (typeof keyStates)[number];

export const answers = [
  '',
  'applied',
  'refused',
  'door',
  'ambiguous',
  'pending',
  'unprocessable',
] as const;
export type Answer = (typeof answers)[number];

/** A request on its way, or its answer on the way back. */
export interface Message {
  fence: number;
  /** Ticks since its permit; the receiver has it, or never will, before lease and settle window are over. */
  age: number;
  answer: Answer;
  /** The tool ignored its signal and listens on. */
  isLate: boolean;
  isResend: boolean;
}

/** A receiver's callback or a human's settlement that no fact names yet. */
export const notices = ['applied', 'refused', 'settled-applied', 'settled-not'] as const;
export type Notice = (typeof notices)[number];

export interface Receiver {
  key: KeyState;
  keyAge: number;
  receipts: number;
  /** Accepted and not done yet. */
  jobs: number;
}

export interface Effect {
  /** Null: the intent is not stored. */
  row: Row | null;
  activity: Activity;
  receiver: Receiver;
  messages: Message[];
  notices: Notice[];
  /** Requests written to the wire, up to 2. */
  writes: number;
}

export interface World {
  /** Faults that may still strike. */
  budget: number;
  isPaused: boolean;
  isCancelled: boolean;
  effects: Effect[];
  /** Two workers, then the reconciler. */
  processes: [Process, Process, Process];
  /** The property that the last step broke; not part of a state. */
  broken?: Broken;
}

export interface Broken {
  readonly property: Property;
  readonly what: string;
}

export const properties = {
  'one-receipt': 'a receiver with a key, a probe or our own rows never does it twice',
  'one-send': 'a receiver that offers nothing is written to at most once',
  'write-ahead': 'no write without a committed permit with its fence, inside its lease',
  'permit-current': 'no permit for a claim that is no longer current',
  'key-horizon': 'no resend by key past the horizon of the key',
  controls: 'no permit while paused, no first permit once cancelled',
  'outcome-stands': 'an outcome that a workflow was told stays, or its contradiction is marked',
  'fact-kept': 'no fact is refused, and an applied one always folds to applied',
  'sends-counted': 'the ledger counts at least as many sends as there are receipts',
  truth: 'applied has a receipt, refused has none (or a marked contradiction), intended has none',
  'doubt-allowed': 'a doubt only where the contract allows one',
  'doubt-current':
    'a doubt is stored once, of a send that nobody is at work on any more, or by whoever may send',
  identity: 'two effects of one identity are never both done, unless a human approved both',
  settles: 'from every state a continuation without faults ends settled or in doubt',
  swept:
    'when its workflow is gone, reconciler, receiver and clock alone end it settled or in doubt',
} as const;
export type Property = keyof typeof properties;

const NOBODY: Process = {
  pc: 'free',
  effect: 0,
  order: 0,
  attempt: 0,
  by: 0,
  fence: 0,
  age: 0,
  isResend: false,
  ignoresIdentity: false,
  wasOpen: false,
  wasIntended: false,
  wasSent: false,
  isConclusive: false,
  isWaiting: false,
  isStale: false,
  say: '',
  output: '',
  then: '',
  outcome: '',
};

/** A process that does nothing. */
export function nobody(): Process {
  return { ...NOBODY };
}

/** The process at another place with only this in memory: who it is stays. */
export function goTo(process: Process, pc: Pc, memory: Partial<Process> = {}): void {
  const { effect, order, attempt, by } = process;
  Object.assign(process, NOBODY, { effect, order, attempt, by, pc }, memory);
}

/** A new intent. */
export function intendedRow(): Row {
  return {
    state: INTENDED,
    output: '',
    isAdopted: false,
    holdsIdentity: false,
    fence: 0,
    claimOrder: 0,
    claimedBy: 0,
    leaseLeft: null,
    sentAge: null,
    unsentFences: 0,
  };
}

function newEffect(): Effect {
  return {
    row: null,
    activity: {
      phase: 'scheduled',
      order: 1,
      attempt: 1,
      isAlive: true,
      told: '',
      toldOutput: '',
      carried: '',
      carriedFence: 0,
    },
    receiver: { key: 'none', keyAge: 0, receipts: 0, jobs: 0 },
    messages: [],
    notices: [],
    writes: 0,
  };
}

/** Nothing has happened yet. */
export function initialWorld(setting: Setting): World {
  const count = setting.identity === 'none' ? 1 : 2;
  return {
    budget: setting.budget,
    isPaused: false,
    isCancelled: false,
    effects: Array.from({ length: count }, newEffect),
    processes: [nobody(), nobody(), nobody()],
  };
}

/** A copy that may be changed; fold states are immutable and shared. */
export function copy(world: World): World {
  const [a, b, c] = world.processes;
  return {
    budget: world.budget,
    isPaused: world.isPaused,
    isCancelled: world.isCancelled,
    effects: world.effects.map((effect) => ({
      row: effect.row && { ...effect.row },
      activity: { ...effect.activity },
      receiver: { ...effect.receiver },
      messages: effect.messages.map((message) => ({ ...message })),
      notices: [...effect.notices],
      writes: effect.writes,
    })),
    processes: [{ ...a }, { ...b }, { ...c }],
  };
}

/** The effect of that number. */
export function effectAt(world: World, index: number): Effect {
  const effect = world.effects[index];
  if (!effect) throw new RangeError(`there is no effect ${index}`);
  return effect;
}

/** Notes the first property that this step broke. */
export function breaks(world: World, property: Property, what: string): void {
  world.broken ??= { property, what };
}
