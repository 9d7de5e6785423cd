// States as short strings: canonical (orders as ranks, names by first appearance, workers sorted), and back.
import { EffectStatus, isSettled } from '../../domain/rules/effect.ts';
import { HORIZON_TICKS, RETENTION_TICKS, SETTLE_TICKS, type Setting } from './setting.ts';
import {
  answers,
  type Effect,
  keyStates,
  type Message,
  notices,
  outcomes,
  outputs,
  pcs,
  phases,
  type Process,
  type Row,
  sayings,
  sequels,
  type World,
} from './world.ts';

const statuses = Object.values(EffectStatus);
/** Rules compare with the number that is needed (2), and with no other. */
const ABSENTS_CAP = 3;
/** A character code of its own keeps every number, the -1 of a time gone by included, positive. */
const ZERO = 40;

const codesOf = <T extends string>(words: readonly T[]): ReadonlyMap<T, number> =>
  new Map(words.map((word, at) => [word, at + ZERO]));
const codes = {
  pc: codesOf(pcs),
  say: codesOf(sayings),
  then: codesOf(sequels),
  outcome: codesOf(outcomes),
  output: codesOf(outputs),
  phase: codesOf(phases),
  key: codesOf(keyStates),
  answer: codesOf(answers),
  notice: codesOf(notices),
  status: codesOf(statuses),
};

function code<T extends string>(table: ReadonlyMap<T, number>, word: T): number {
  return table.get(word) ?? ZERO;
}

const bits = (a: boolean, b = false, c = false, d = false): number =>
  ZERO + (a ? 1 : 0) + (b ? 2 : 0) + (c ? 4 : 0) + (d ? 8 : 0);

const NONE = -2;
/** A process that does nothing. */
const FREE = String.fromCharCode(ZERO);

/** The canonical form; `isSwapped`: its first worker is the given world's second. Changes the given world. */
export function encode(
  world: World,
  setting: Setting,
): { readonly key: string; readonly isSwapped: boolean } {
  for (const [index, effect] of world.effects.entries()) {
    tidy(effect, world, setting);
    rankFences(effect, index, world);
  }
  rankOrders(world);
  const [a, b, c] = world.processes;
  const first = processText(a, world);
  const second = processText(b, world);
  const isSwapped = second < first;
  if (isSwapped) world.processes = [b, a, c];
  nameClaimants(world);
  const numbers: number[] = [];
  for (const effect of world.effects) pushEffect(numbers, effect);
  const [{ by: firstBy }, { by: secondBy }] = world.processes;
  const flags = bits(world.isPaused, world.isCancelled);
  const head = String.fromCharCode(world.budget + ZERO, flags, firstBy + ZERO, secondBy + ZERO);
  const workers = isSwapped ? second + first : first + second;
  return { key: head + workers + processText(c, world) + toText(numbers), isSwapped };
}

const toText = (numbers: number[]): string => String.fromCharCode.apply(null, numbers);

/** Claims are only compared: their order is kept, their values are not. */
function rankOrders(world: World): void {
  const orders = [0];
  const note = (order: number): void => {
    if (!orders.includes(order)) orders.push(order);
  };
  for (const process of world.processes) if (process.pc !== 'free') note(process.order);
  for (const { row, activity } of world.effects) {
    if (activity.phase === 'closed') activity.order = 0;
    note(activity.order);
    if (row) note(row.claimOrder);
  }
  orders.sort((a, b) => a - b);
  for (const process of world.processes) process.order = orders.indexOf(process.order);
  for (const { row, activity } of world.effects) {
    activity.order = orders.indexOf(activity.order);
    if (row) row.claimOrder = orders.indexOf(row.claimOrder);
  }
}

/** Fences are only compared, and one that nobody holds any more is never spoken of again. */
function rankFences(effect: Effect, index: number, world: World): void {
  const { row, messages } = effect;
  if (!row || row.fence === 0) return;
  const holders = world.processes.filter(
    (process) => process.pc !== 'free' && process.effect === index && process.fence > 0,
  );
  const { activity } = effect;
  const held = [...holders, ...messages].map(({ fence }) => fence);
  if (activity.carriedFence > 0) held.push(activity.carriedFence);
  const known = [...new Set([...held, row.fence])].sort((a, b) => a - b);
  if (known.at(-1) === known.length && known.length === row.fence) {
    if (row.unsentFences === 0) return;
  }
  const rankOf = (fence: number): number => known.indexOf(fence) + 1;
  let unsent = 0;
  for (const fence of held) {
    if ((row.unsentFences & (1 << (fence - 1))) !== 0) unsent |= 1 << (rankOf(fence) - 1);
  }
  row.unsentFences = unsent;
  row.fence = rankOf(row.fence);
  for (const holder of holders) holder.fence = rankOf(holder.fence);
  for (const message of messages) message.fence = rankOf(message.fence);
  if (activity.carriedFence > 0) activity.carriedFence = rankOf(activity.carriedFence);
}

const GONE = 3;

function nameClaimants(world: World): void {
  const names = new Map<number, number>([[0, 0]]);
  for (const process of world.processes.slice(0, 2)) {
    if (process.pc === 'free') process.by = 0;
    else if (!names.has(process.by)) names.set(process.by, names.size);
    process.by = names.get(process.by) ?? 0;
  }
  for (const { row } of world.effects) {
    if (row) row.claimedBy = names.get(row.claimedBy) ?? GONE;
  }
}

/** What is settled gets no permit any more: its claim and its times are never looked at again. */
const over = { claimOrder: 0, claimedBy: 0, leaseLeft: null, sentAge: null } as const;

/** Forgets what nothing can see any more. */
function tidy(effect: Effect, world: World, { contract }: Setting): void {
  if (effect.messages.length > 0) {
    effect.messages = effect.messages.filter(
      (message) => message.answer === '' || hears(message, effect, world),
    );
    effect.messages.sort((a, b) => a.fence - b.fence);
  }
  const { row, receiver } = effect;
  const isKeyed = contract === 'keyed';
  if (!isKeyed) Object.assign(receiver, { key: 'none', keyAge: 0 });
  receiver.keyAge = receiver.key === 'none' ? 0 : Math.min(receiver.keyAge, RETENTION_TICKS);
  if (contract !== 'once') effect.writes = 0;
  if (!row) return;
  const { status, sends, absents, isPending, conflict } = row.state;
  const isOver = isSettled(status);
  if (isOver) Object.assign(row, over);
  // Only a key grows old.
  if (!isKeyed) row.sentAge = null;
  if (row.leaseLeft !== null) row.leaseLeft = Math.max(row.leaseLeft, -SETTLE_TICKS);
  if (row.sentAge !== null) row.sentAge = Math.min(row.sentAge, HORIZON_TICKS);
  row.state = {
    status,
    sends,
    absents: isOver ? 0 : Math.min(absents, ABSENTS_CAP),
    conflict,
    ...(isPending ? { isPending } : {}),
  };
}

/** Somebody still listens for the answer. */
export function hears(message: Message, effect: Effect, world: World): boolean {
  const { answer, isLate, isResend } = message;
  if (isLate) {
    return answer !== 'ambiguous' && answer !== 'unprocessable' && !(answer === 'door' && isResend);
  }
  return world.processes.some(
    (process) =>
      process.pc === 'wire' &&
      process.fence === message.fence &&
      world.effects[process.effect] === effect,
  );
}

/** Where a process stands and what it holds, without its name: what the two workers are sorted by. */
function processText(process: Process, world: World): string {
  if (process.pc === 'free') return FREE;
  const isClaimant = world.effects.some(
    ({ row }) => row !== null && row.claimedBy !== 0 && row.claimedBy === process.by,
  );
  return String.fromCharCode(
    code(codes.pc, process.pc),
    process.effect + ZERO,
    process.order + ZERO,
    process.attempt + ZERO,
    process.fence + ZERO,
    process.age + ZERO,
    ZERO +
      (process.isResend ? 1 : 0) +
      (process.ignoresIdentity ? 2 : 0) +
      (process.wasOpen ? 4 : 0) +
      (process.wasSent ? 8 : 0) +
      (process.isConclusive ? 16 : 0) +
      (process.isWaiting ? 32 : 0) +
      (process.wasIntended ? 64 : 0) +
      (isClaimant ? 128 : 0) +
      (process.isStale ? 256 : 0),
    code(codes.say, process.say),
    code(codes.output, process.output),
    code(codes.then, process.then),
    code(codes.outcome, process.outcome),
  );
}

function pushEffect(numbers: number[], effect: Effect): void {
  const { row, activity, receiver, messages } = effect;
  numbers.push(
    code(codes.phase, activity.phase),
    activity.order + ZERO,
    activity.attempt + ZERO,
    bits(activity.isAlive),
    code(codes.outcome, activity.told),
    code(codes.output, activity.toldOutput),
    code(codes.say, activity.carried),
    activity.carriedFence + ZERO,
    code(codes.key, receiver.key),
    receiver.keyAge + ZERO,
    receiver.receipts + ZERO,
    receiver.jobs + ZERO,
    effect.writes + ZERO,
    messages.length + ZERO,
  );
  for (const { fence, age, answer, isLate, isResend } of messages) {
    const flags = bits(isLate, isLate && isResend);
    numbers.push(fence + ZERO, age + ZERO, code(codes.answer, answer), flags);
  }
  numbers.push(effect.notices.length + ZERO);
  for (const notice of effect.notices) numbers.push(code(codes.notice, notice));
  numbers.push(bits(row !== null));
  if (row) pushRow(numbers, row);
}

function pushRow(numbers: number[], row: Row): void {
  const { status, sends, absents, isPending, conflict } = row.state;
  numbers.push(
    code(codes.status, status),
    sends + ZERO,
    absents + ZERO,
    bits(isPending === true, conflict, row.isAdopted, row.holdsIdentity),
    code(codes.output, row.output),
    row.fence + ZERO,
    row.claimOrder + ZERO,
    row.claimedBy + ZERO,
    (row.leaseLeft ?? NONE) + ZERO,
    (row.sentAge ?? NONE) + ZERO,
    row.unsentFences + ZERO,
  );
}

/** The world of a key. */
export function decode(key: string, effectCount: number): World {
  let at = 0;
  const next = (): number => key.charCodeAt(at++) - ZERO;
  const word = <T extends string>(words: readonly T[]): T => words[next()] as T;
  const [budget, control, firstBy, secondBy] = [next(), next(), next(), next()];
  const processes: World['processes'] = [
    readProcess(next, word, firstBy),
    readProcess(next, word, secondBy),
    readProcess(next, word, 0),
  ];
  return {
    budget,
    isPaused: (control & 1) !== 0,
    isCancelled: (control & 2) !== 0,
    processes,
    effects: Array.from({ length: effectCount }, () => readEffect(next, word)),
  };
}

type Next = () => number;
type Word = <T extends string>(words: readonly T[]) => T;

function readProcess(next: Next, word: Word, by: number): Process {
  const pc = word(pcs);
  const has = pc !== 'free';
  const number = (): number => (has ? next() : 0);
  const text = <T extends string>(words: readonly T[]): T => (has ? word(words) : (words[0] as T));
  const [effect, order, attempt] = [number(), number(), number()];
  const [fence, age, flags] = [number(), number(), number()];
  return {
    pc,
    effect,
    order,
    attempt,
    by,
    fence,
    age,
    isResend: (flags & 1) !== 0,
    ignoresIdentity: (flags & 2) !== 0,
    wasOpen: (flags & 4) !== 0,
    wasSent: (flags & 8) !== 0,
    wasIntended: (flags & 64) !== 0,
    isConclusive: (flags & 16) !== 0,
    isWaiting: (flags & 32) !== 0,
    isStale: (flags & 256) !== 0,
    say: text(sayings),
    output: text(outputs),
    then: text(sequels),
    outcome: text(outcomes),
  };
}

function readEffect(next: Next, word: Word): Effect {
  const activity = {
    phase: word(phases),
    order: next(),
    attempt: next(),
    isAlive: next() === 1,
    told: word(outcomes),
    toldOutput: word(outputs),
    carried: word(sayings),
    carriedFence: next(),
  };
  const receiver = { key: word(keyStates), keyAge: next(), receipts: next(), jobs: next() };
  const writes = next();
  const messages = Array.from({ length: next() }, () => {
    const [fence, age, answer, flags] = [next(), next(), word(answers), next()];
    return { fence, age, answer, isLate: (flags & 1) !== 0, isResend: (flags & 2) !== 0 };
  });
  const waiting = Array.from({ length: next() }, () => word(notices));
  const row = next() === 1 ? readRow(next, word) : null;
  return { row, activity, receiver, messages, notices: waiting, writes };
}

function readRow(next: Next, word: Word): Row {
  const [status, sends, absents, flags] = [word(statuses), next(), next(), next()];
  const orNull = (value: number): number | null => (value === NONE ? null : value);
  return {
    state: {
      status,
      sends,
      absents,
      conflict: (flags & 2) !== 0,
      ...((flags & 1) !== 0 ? { isPending: true } : {}),
    },
    isAdopted: (flags & 4) !== 0,
    holdsIdentity: (flags & 8) !== 0,
    output: word(outputs),
    fence: next(),
    claimOrder: next(),
    claimedBy: next(),
    leaseLeft: orNull(next()),
    sentAge: orNull(next()),
    unsentFences: next(),
  };
}
