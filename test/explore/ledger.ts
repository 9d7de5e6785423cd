// The ledger of the explored world: each transaction is one step, and calls the rules in the order of production's ledger.
import type { EffectState, Fact } from '../../domain/rules/effect.ts';
import type { EffectView, Move } from '../../domain/rules/next-move.ts';
import type { FactEntry, Observed } from '../../domain/rules/observe.ts';
import type { Claim, Held, Standing } from '../../domain/rules/permit.ts';
import type { Rules } from './rules.ts';
import {
  HORIZON_TICKS,
  LEASE_TICKS,
  NOW_MS,
  PENDING_TICKS,
  SETTLE_TICKS,
  type Setting,
  TICK_MS,
} from './setting.ts';
import {
  breaks,
  effectAt,
  type Notice,
  type Output,
  outputs,
  type Process,
  type Row,
  type Saying,
  type World,
} from './world.ts';

/** What every step is given. */
export interface Lab {
  readonly rules: Rules;
  readonly setting: Setting;
  /** Called with every change of an effect's status. */
  readonly onEdge: (before: EffectState, after: EffectState) => void;
}

const LEASE_MS = LEASE_TICKS * TICK_MS;
const toMs = (ticks: number | null, sign: 1 | -1): number | undefined =>
  ticks === null ? undefined : NOW_MS + sign * ticks * TICK_MS;

/** As `toView` makes it of a record. */
export function toView({ setting }: Lab, row: Row): EffectView & Held {
  return {
    fence: row.fence,
    claimOrder: row.claimOrder,
    claimedBy: row.claimedBy === 0 ? null : String(row.claimedBy),
    contract: setting.contract,
    state: row.state,
    firstSentAtMs: toMs(row.sentAge, -1),
    leaseUntilMs: toMs(row.leaseLeft, 1),
    keyRetentionMs: setting.keyRetentionMs ?? undefined,
    hasProbe: setting.hasProbe,
    sendsMax: setting.sendsMax,
  };
}

export interface Look {
  readonly row: Row;
  readonly move: Move;
  readonly identity: Standing<string>;
}

/** `begin`, and the move that the engine makes of it; undefined: the ledger does not know the effect. */
export function begin(lab: Lab, world: World, index: number): Look | undefined {
  const effect = effectAt(world, index);
  if (!effect.row) return undefined;
  foldNotices(lab, world, index);
  const { row } = effect;
  return {
    row,
    move: lab.rules.nextMove(toView(lab, row), NOW_MS),
    identity: identityStanding(lab, world, index),
  };
}

function identityStanding(lab: Lab, world: World, index: number): Standing<string> {
  const { row } = effectAt(world, index);
  if (!row || lab.setting.identity === 'none' || row.state.sends > 0) return { kind: 'free' };
  const holder = holderOf(world, index);
  const fingerprintOf = (at: number): string =>
    lab.setting.identity === 'same' ? 'same' : String(at);
  return lab.rules.standingTowards(
    holder?.row
      ? {
          shortId: `effect ${holder.at + 1}`,
          state: holder.row.state,
          fingerprint: fingerprintOf(holder.at),
          output: holder.row.output,
        }
      : undefined,
    fingerprintOf(index),
  );
}

function holderOf(world: World, index: number): { at: number; row: Row } | undefined {
  for (const [at, { row }] of world.effects.entries()) {
    if (at !== index && row?.holdsIdentity) return { at, row };
  }
  return undefined;
}

/** A callback's word first: on a contradiction a human's is the one that ends it. */
function foldNotices(lab: Lab, world: World, index: number): void {
  const effect = effectAt(world, index);
  if (effect.notices.length === 0) return;
  const isHuman = (notice: Notice): boolean => notice.startsWith('settled');
  const inOrder = [
    ...effect.notices.filter((notice) => !isHuman(notice)),
    ...effect.notices.filter(isHuman),
  ];
  effect.notices = [];
  appendEntries(lab, world, index, inOrder.map(toNoticeEntry));
}

function toNoticeEntry(notice: Notice): FactEntry {
  const source = notice.startsWith('settled') ? 'human' : 'webhook';
  if (notice === 'applied' || notice === 'settled-applied') {
    return { fact: { kind: 'applied', source, output: source } };
  }
  return { fact: { kind: 'refused', source, code: 'no', message: '' } };
}

export type Denial = 'paused' | 'cancelled' | 'not-permitted' | 'identity';

/** The permit inside the caller's transaction: why there is none, or claim, fence, lease and `dispatched`. */
export function permit(lab: Lab, world: World, process: Process): Denial | 'granted' {
  const { rules } = lab;
  const effect = effectAt(world, process.effect);
  const { row } = effect;
  if (!row) return 'not-permitted';
  const control = { paused: world.isPaused, cancelled: world.isCancelled };
  const stop = rules.stoppedBy(control, { state: row.state, compensates: null });
  if (stop) return stop;
  const claim = claimOf(process);
  if (rules.refuseClaim(toView(lab, row), claim, NOW_MS) !== undefined) return 'not-permitted';
  if (!process.ignoresIdentity && row.state.sends === 0) {
    if (identityStanding(lab, world, process.effect).kind !== 'free') return 'identity';
  }
  judgePermit(lab, world, process, row);
  const held = rules.grant(toView(lab, row), claim);
  if (row.state.sends === 0) row.sentAge = 0;
  row.fence = held.fence;
  row.claimOrder = held.claimOrder;
  row.claimedBy = Number(held.claimedBy);
  row.leaseLeft = LEASE_TICKS;
  row.holdsIdentity ||= !process.ignoresIdentity && lab.setting.identity !== 'none';
  appendEntries(lab, world, process.effect, [{ fact: { kind: 'dispatched' }, fence: row.fence }]);
  return 'granted';
}

function claimOf({ order, by, attempt }: Process): Claim {
  return { order, by: String(by), attempt, leaseMs: LEASE_MS };
}

/** Whether the engine goes on to run the tool; otherwise it stands back. */
export function maySend(lab: Lab, row: Row, process: Process): boolean {
  return lab.rules.refuseClaim(toView(lab, row), claimOf(process), NOW_MS) === undefined;
}

/** What no permit may be, said without the rules that gave it. */
function judgePermit({ setting }: Lab, world: World, process: Process, row: Row): void {
  if (world.isPaused) breaks(world, 'controls', 'a permit while the run is paused');
  if (world.isCancelled && row.state.sends === 0) {
    breaks(world, 'controls', 'a first permit in a cancelled run');
  }
  if (row.claimOrder > process.order) {
    breaks(world, 'permit-current', 'a permit for an attempt after a later one has claimed');
  }
  const isOthers = row.claimedBy !== 0 && row.claimedBy !== process.by;
  if (row.claimOrder === process.order && isOthers && (row.leaseLeft ?? 0) > 0) {
    breaks(world, 'permit-current', 'a permit beside a live claim of the same order');
  }
  const isPast = row.state.sends > 0 && (row.sentAge ?? 0) >= HORIZON_TICKS;
  const isProbed = setting.hasProbe && (row.leaseLeft ?? 0) <= -SETTLE_TICKS;
  if (setting.contract === 'keyed' && isPast && !isProbed) {
    breaks(world, 'key-horizon', 'a resend by key past its horizon');
  }
}

/** What the process says, unless that was concluded from a look and its effect has changed since: then false. */
export function conclude(lab: Lab, world: World, process: Process): boolean {
  if (!lab.rules.concludes(process.isStale, process.say)) return false;
  judgeConclusion(world, process);
  appendEntries(lab, world, process.effect, toEntries(process));
  return true;
}

/** Whose word counts for the effect as it was looked at; what was heard of a send counts whenever it comes. */
function isConcluding({ pc, say, then }: Process): boolean {
  if (pc === 'probe' || pc === 'dispatch') return true;
  return pc === 'append' && say !== 'seen-applied' && then !== 'answer' && then !== 'withdraw';
}

/** `appendFacts`. */
export function appendEntries(
  lab: Lab,
  world: World,
  index: number,
  entries: readonly FactEntry[],
): void {
  const { row } = effectAt(world, index);
  if (!row) throw new Error('facts of an effect that the ledger does not know');
  const fresh = entries.filter((entry) => !isSaidAlready(row, entry));
  const before = row.state;
  const observed = observeOrBreak(lab, world, index, row, fresh);
  if (!observed) return;
  const { after, leaseMs } = observed;
  const heldOutput = row.output;
  row.state = after.state;
  row.output = toOutput(after.output);
  row.isAdopted = after.sameAs !== null;
  row.holdsIdentity = after.holdsIdentity;
  if (leaseMs !== undefined) row.leaseLeft = leaseMs / TICK_MS;
  for (const process of world.processes) {
    if (process.effect === index && isConcluding(process)) process.isStale = true;
  }
  lab.onEdge(before, row.state);
  judgeFold(world, row, fresh, before, heldOutput);
}

function observeOrBreak(
  lab: Lab,
  world: World,
  index: number,
  row: Row,
  entries: readonly FactEntry[],
): ReturnType<Rules['observe']> | undefined {
  const isIdentityFree =
    row.holdsIdentity || lab.setting.identity === 'none' || holderOf(world, index) === undefined;
  const record: Observed & { fence: number; identityHash: string | null } = {
    state: row.state,
    output: row.output === '' ? null : row.output,
    outputProblem: null,
    sameAs: row.isAdopted ? 'the other' : null,
    reference: null,
    holdsIdentity: row.holdsIdentity,
    fence: row.fence,
    identityHash: lab.setting.identity === 'none' ? null : 'identity',
  };
  try {
    return lab.rules.observe(record, entries, isIdentityFree);
  } catch (error) {
    breaks(world, 'fact-kept', `a fact was refused: ${String(error)}`);
    return undefined;
  }
}

const toOutput = (output: unknown): Output =>
  outputs.find((known) => known === output) ?? outputs[0];

/** "Not sent" of one permit counts once. */
function isSaidAlready(row: Row, { fact, fence }: FactEntry): boolean {
  if (fact.kind !== 'not_sent' || fence === undefined) return false;
  const bit = 1 << (fence - 1);
  if ((row.unsentFences & bit) !== 0) return true;
  row.unsentFences |= bit;
  return false;
}

/** What no fold may do, said without the fold. */
function judgeFold(
  world: World,
  row: Row,
  entries: readonly FactEntry[],
  before: EffectState,
  heldOutput: Output,
): void {
  const { status } = row.state;
  const saysApplied = entries.some(({ fact }) => fact.kind === 'applied');
  if (saysApplied && status !== 'applied') {
    breaks(world, 'fact-kept', `an applied fact was folded to ${status}`);
  }
  const isOwnWord = entries.every(({ fact }) => 'source' in fact && fact.source === 'engine');
  if (row.state.conflict && !before.conflict && isOwnWord) {
    breaks(world, 'truth', 'the engine contradicts what was known');
  }
  const isOlder = entries.some(
    ({ fact, fence }) => fact.kind === 'doubted' && fence !== undefined && fence < row.fence,
  );
  if (isOlder && before.status === 'dispatched' && before.sends > 1 && status === 'in_doubt') {
    breaks(world, 'doubt-current', 'the doubt of an earlier send while a later one is out');
  }
  if (before.status === 'applied' && (status !== 'applied' || row.output !== heldOutput)) {
    breaks(world, 'outcome-stands', 'what was applied changed');
  }
}

/** Called where a doubt is concluded from a look: the table of design, section 4, said once more. */
export function judgeDoubt({ setting }: Lab, world: World, index: number): void {
  const { row, receiver, activity } = effectAt(world, index);
  const { contract, sendsMax, name } = setting;
  if (!row || !activity.isAlive || contract === 'once' || row.state.isPending) return;
  // Rows without an outcome: the tool has committed by itself.
  if (contract === 'transactional' && receiver.receipts > 0) return;
  if (contract !== 'transactional' && row.state.sends >= sendsMax) return;
  if (contract === 'keyed' && (row.sentAge ?? 0) >= HORIZON_TICKS) return;
  breaks(world, 'doubt-allowed', `${name} may not be in doubt here`);
}

/** Called where a conclusion is stored: by nobody's rules. */
function judgeConclusion(world: World, { say, effect: index, order }: Process): void {
  const { row } = effectAt(world, index);
  const status = row?.state.status ?? '';
  const isOver = status === 'dispatched' && (row?.leaseLeft ?? 0) <= 0;
  if (say === 'silence' && !isOver) {
    breaks(world, 'doubt-current', `a doubt from silence of what is ${status}`);
  }
  if (say === 'doubted' && (row?.claimOrder ?? 0) > order) {
    breaks(world, 'doubt-current', 'a doubt by an attempt after a later one has claimed');
  }
}

/** What a process says, as entries; a probe's carry the fence of the record that it was made for. */
export function toEntries({ say, fence, output }: Process): readonly FactEntry[] {
  return factsOf(say, output).map((fact) => ({
    fact,
    ...(fence === 0 ? {} : { fence }),
    ...(say === 'adopted' ? { details: { sameAs: 'the other' } } : {}),
  }));
}

function factsOf(say: Saying, output: Output): readonly Fact[] {
  switch (say) {
    case '':
      return [];
    case 'applied':
      return [{ kind: 'applied', source: 'response', output: 'response' }];
    case 'seen-applied':
      return [{ kind: 'applied', source: 'probe', output: 'probe' }];
    case 'adopted':
      return [{ kind: 'applied', source: 'engine', output }];
    case 'refused':
      return [{ kind: 'refused', source: 'response', code: 'no', message: '' }];
    case 'refused-unwritten':
      return [{ kind: 'refused', source: 'engine', code: 'no', message: '' }];
    case 'not-sent':
      return [{ kind: 'not_sent', reason: '' }];
    case 'ambiguous':
      return [{ kind: 'ambiguous', reason: '' }];
    case 'pending':
      return [{ kind: 'pending', reference: null, withinMs: PENDING_TICKS * TICK_MS }];
    case 'doubted':
    case 'silence':
    case 'unprocessable':
      return [{ kind: 'doubted', reason: '' }];
    case 'withdrawn':
      return [{ kind: 'withdrawn', code: 'no', message: '' }];
    case 'absent':
      return [{ kind: 'probed_absent' }];
    case 'unclear':
      return [{ kind: 'probed_unclear', reason: '' }];
    case 'unclear-doubted':
      return [
        { kind: 'probed_unclear', reason: '' },
        { kind: 'doubted', reason: '' },
      ];
  }
}
