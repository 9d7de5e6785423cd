// What a run may end in, told from the contract and from what the world did: the prediction, which asks the rules nothing.
import { CrashPoint } from '../../activities/effects/crash-points.ts';
import { KEY_RETENTION_MS, type Cell, type Mode, type Plan, type Point } from './cells.ts';

/** `unsent`: nothing was sent, and nobody is there to send it; `failed`: a read that did not get through. */
export type End = 'applied' | 'refused' | 'in_doubt' | 'unsent' | 'failed';

/** What really happened, by the receiver's log and by the blows that struck. */
export interface Truth {
  readonly receipts: number;
  /** Writes that went out on the wire. */
  readonly sends: number;
  /** Permits to send that the ledger committed. */
  readonly permits: number;
  readonly sendsMax: number;
  /** Some activity was tried for as long as what never left is tried. */
  readonly isTriedLong: boolean;
  /** As in `die dispatch-commit`. */
  readonly struck: readonly string[];
}

const NOTHING_SENT: readonly Point[] = [
  CrashPoint.BeforeIntent,
  CrashPoint.IntentCommit,
  CrashPoint.AfterIntent,
  CrashPoint.AfterDecision,
  CrashPoint.BeforeDispatch,
];
const RECORDED: readonly Point[] = [
  CrashPoint.AfterSettle,
  CrashPoint.BeforeReturn,
  CrashPoint.AfterReturn,
];
/** Passed only by an effect whose doubt, or whose end, is decided anyway. */
const CONCLUDING: readonly Point[] = [CrashPoint.LeaseWait, CrashPoint.BeforeDoubt];

/** The ends that are allowed; more than one only where the order of things is left to the dice. */
export function predict(plan: Plan, truth: Truth): readonly End[] {
  const { cell } = plan;
  const ends = new Set(endsOf(plan, truth));
  if (cell.fault !== 'none') softened(plan, truth).forEach((end) => ends.add(end));
  if (!plan.hasHuman || !ends.has('in_doubt')) return [...ends];
  // A human reads the receiver's log, and settles by it; a run that is gone asks nobody.
  if (!wasStruck(truth, 'terminate')) ends.delete('in_doubt');
  return [...ends.add(truth.receipts > 0 ? 'applied' : 'refused')];
}

function endsOf(plan: Plan, truth: Truth): readonly End[] {
  const { cell } = plan;
  switch (cell.contract) {
    case 'once':
      return endsOfOnce(plan, truth);
    case 'keyed':
      if (cell.mode === 'key-expired') return endsPastRetention(plan, truth);
      // A tool that finds its own first send done, and says no, leaves a doubt.
      if (cell.mode === 'asks-first' && truth.struck.length > 0) return ['applied', 'in_doubt'];
      return [calmEnd(cell, truth)];
    case 'read':
      // The refusal died with its reader: the next one is answered.
      if (cell.mode === 'reject-once' && truth.struck.length > 0) return ['applied', 'refused'];
      return [calmEnd(cell, truth)];
    case 'transactional':
    case 'reconcilable':
      return [calmEnd(cell, truth)];
  }
}

/** Without a blow: what the receiver does decides, and what the contract can find out of it. */
function calmEnd({ contract, mode }: Cell, { receipts }: Truth): End {
  switch (mode) {
    case 'reject':
      return 'refused';
    case 'reject-once':
      // The refusal may be lost with the process that heard it: then the next send is accepted.
      return contract !== 'once' && receipts > 0 ? 'applied' : 'refused';
    case '500-after':
      // The key replays the error for ever.
      if (contract === 'keyed') return 'in_doubt';
      break;
    // A look-up that fails once is asked again.
    case 'probe-fails':
    case 'ok':
    case 'asks-first':
    case 'no-connection':
      return 'applied';
    default:
      break;
  }
  return contract === 'once' ? 'in_doubt' : 'applied';
}

/** In doubt exactly when a permit was given and no definite answer was recorded. */
function endsOfOnce({ cell, blows }: Plan, truth: Truth): readonly End[] {
  const calm = calmEnd(cell, truth);
  const [main] = blows;
  // A pause, a cancel, a reset take nothing from the process that sends.
  const isStruck = main !== undefined && truth.struck.includes(`die ${main.point}`);
  if (!isStruck || calm === 'in_doubt') return [calm];
  const { point, lands } = main;
  if (NOTHING_SENT.includes(point) || RECORDED.includes(point)) return [calm];
  if (CONCLUDING.includes(point)) return [calm];
  if (point === CrashPoint.DispatchCommit) return lands ? ['in_doubt'] : [calm];
  if (point === CrashPoint.SettleCommit) return lands ? [calm] : ['in_doubt'];
  return point === 'anywhere' ? [calm, 'in_doubt'] : ['in_doubt'];
}

const TRUSTED_MS = 0.9 * KEY_RETENTION_MS;

/** Nobody is there until the key has expired: what was sent is in doubt. */
function endsPastRetention({ blows }: Plan, { struck }: Truth): readonly End[] {
  const [main] = blows;
  if (!main || struck.length === 0 || main.forMs < TRUSTED_MS) return ['applied'];
  if (main.point === 'anywhere') return ['applied', 'in_doubt'];
  if (NOTHING_SENT.includes(main.point)) return ['applied'];
  if (main.point === CrashPoint.DispatchCommit && !main.lands) return ['applied'];
  const isReturned =
    main.point === CrashPoint.BeforeReturn || main.point === CrashPoint.AfterReturn;
  return isReturned ? ['applied'] : ['in_doubt'];
}

/** What more may happen when several things go wrong at once. */
function softened({ cell }: Plan, truth: Truth): readonly End[] {
  const { contract, mode } = cell;
  const { receipts, permits, sends, sendsMax, isTriedLong } = truth;
  const ends: End[] = [];
  const isTerminated = wasStruck(truth, 'terminate');
  if (contract === 'read') return ['applied', 'refused', 'failed', ...unsentIf(isTerminated)];
  ends.push(...unsentIf(isTerminated && (permits === 0 || sends === 0)));
  if (receipts === 0 && mayGiveUp(cell, truth)) ends.push('refused');
  if (contract === 'transactional' || permits === 0) return ends;
  if (isTerminated) ends.push('in_doubt');
  // Nothing but the order of things has changed.
  if (cell.fault === 'pause' || cell.fault === 'cancel') return ends;
  if (contract === 'once') ends.push('in_doubt', ...heardOf(mode, receipts));
  if (contract === 'keyed') {
    if (permits >= sendsMax || isTriedLong) ends.push('in_doubt');
    if (mode === 'key-expired')
      ends.push('in_doubt', ...(receipts > 0 ? (['applied'] as const) : []));
  }
  // A probe that was cut off says nothing; what the receiver has, a later look finds.
  if (contract === 'reconcilable' && receipts === 0) ends.push('in_doubt');
  return ends;
}

function unsentIf(isSo: boolean): readonly End[] {
  return isSo ? ['unsent'] : [];
}

/** The definite answer that the mode gives, to whoever lives long enough to hear it. */
function heardOf(mode: Mode, receipts: number): readonly End[] {
  if (mode === 'reject' || mode === 'reject-once') return ['refused'];
  const isHeard = ['ok', 'slow', 'no-connection', 'asks-first'].includes(mode);
  return isHeard && receipts > 0 ? ['applied'] : [];
}

/** No send left for as long as the tool allows; or the run was cancelled, or the tool threw, before any. */
function mayGiveUp({ contract, mode }: Cell, truth: Truth): boolean {
  if (wasStruck(truth, 'cancel') || truth.isTriedLong) return true;
  return mode === 'asks-first' || (contract === 'transactional' && mode !== 'ok');
}

function wasStruck({ struck }: Truth, kind: string): boolean {
  return struck.some((each) => each.startsWith(kind));
}
