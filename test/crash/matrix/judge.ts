// The verdict on one cell: what the receiver's log, the ledger, the workflow and the inbox say, against the prediction.
import { isFirstApplied, type Mode, nameOf } from './cells.ts';
import type { MatrixWorld } from './matrix-world.ts';
import { type Played, receiptsOf, requestsOf } from './played.ts';
import { type Allowed, type End, predict } from './predict.ts';
import { workflowEnd } from './seen.ts';

/** What has become of a cell; `end` is undefined while it is open. */
export interface Found {
  readonly played: Played;
  readonly end: End | undefined;
  readonly status: string;
  readonly hasConflict: boolean;
  readonly transferId: string | undefined;
  readonly reason: string | undefined;
  readonly effect: string | undefined;
}

export interface Verdict {
  readonly played: Played;
  readonly end: End | undefined;
  readonly receipts: number;
  readonly requests: number;
  readonly allowed: readonly Allowed[];
  readonly isDuplicated: boolean;
  readonly isLost: boolean;
  /** Open, and not among the doubts. */
  readonly isSilent: boolean;
  /** Everything that is not as predicted, in words. */
  readonly violations: readonly string[];
}

export async function judge(world: MatrixWorld, found: Found): Promise<Verdict> {
  const { played, end } = found;
  const receipts = await receiptsOf(world, played);
  const requests = requestsOf(world, played);
  const met = await metBy(world, found, requests);
  const allowed = predict(
    { ...played.cell, mode: met },
    { isStruck: played.missed === 0, hasArrived: hasArrived(requests) },
  );
  const isListed = await isAmongDoubts(world, found);
  const isRead = played.cell.contract === 'read';
  const facts = {
    isDuplicated: receipts.length > 1,
    isLost: end === undefined || (end === 'applied' && !isRead && receipts.length === 0),
    isSilent: (end === undefined || end === 'in_doubt') && !isListed,
  };
  const violations = [
    ...(facts.isDuplicated ? [`${receipts.length} receipts of one effect`] : []),
    ...(facts.isLost ? [end === undefined ? `never ended: ${found.status}` : 'no receipt'] : []),
    ...(facts.isSilent ? ['open, and not among the doubts'] : []),
    ...unpredicted(found, receipts.length, allowed),
    ...(found.hasConflict ? ['two facts contradict each other'] : []),
    ...wrongRequests(played, requests),
    ...(await wrongEnd(world, found, receipts)),
  ];
  return {
    ...{ played, end, receipts: receipts.length, requests: requests.length, allowed, violations },
    ...facts,
  };
}

/**
 * What the receiver made of it as the sender saw it. On a machine that is too busy an answer comes too late, or the
 * request never leaves: with one send and no more that is a time-out like any other.
 */
async function metBy(
  { rows }: MatrixWorld,
  { played, effect }: Found,
  requests: readonly { readonly complete: boolean }[],
): Promise<Mode> {
  const { contract, point, mode } = played.cell;
  if (contract !== 'once') return mode;
  const late = await rows(
    `select 1 from pawl.effect_facts f join pawl.effects e on e.tenant = f.tenant and e.id = f.effect_id
     where e.short_id = $1 and f.kind = 'ambiguous' and f.data->>'reason' like 'TimeoutError%'`,
    [effect ?? ''],
  );
  // Behind the send and before its record, nothing says why a request never arrived.
  const isUnrecorded = point === 7 || point === 8;
  if (late.length === 0 && (hasArrived(requests) || !isUnrecorded)) return mode;
  return hasArrived(requests) && isFirstApplied(mode) ? 'timeout-after' : 'timeout-before';
}

/** One whose sender was gone before the whole body had come was never carried out. */
function hasArrived(requests: readonly { readonly complete: boolean }[]): boolean {
  return requests.some(({ complete }) => complete);
}

function unpredicted(
  { end, reason }: Found,
  receipts: number,
  allowed: readonly Allowed[],
): readonly string[] {
  if (end === undefined) return [];
  if (allowed.some((one) => one.end === end && one.receipts === receipts)) return [];
  const why = reason === undefined ? '' : ` (${reason})`;
  const ends = new Set(allowed.map((one) => `${one.end} with ${one.receipts}`));
  const expected = [...ends].join(' or ');
  return [`${end} with ${receipts} receipts${why}; predicted: ${expected}`];
}

/** Every write of one effect is byte-equal to the first; an effect without key and look-up is written once. */
function wrongRequests(
  { cell }: Played,
  requests: readonly { readonly idempotencyKey?: string; readonly body: string }[],
): readonly string[] {
  if (cell.contract === 'read') return [];
  const bodies = new Set(requests.map(({ idempotencyKey, body }) => `${idempotencyKey} ${body}`));
  return [
    ...(bodies.size > 1 ? ['requests of one effect differ'] : []),
    ...(cell.contract === 'once' && requests.length > 1 ? [`${requests.length} sends`] : []),
  ];
}

async function isAmongDoubts({ pawl }: MatrixWorld, { end, effect }: Found): Promise<boolean> {
  if (end !== undefined && end !== 'in_doubt') return true;
  const doubts = await pawl.doubts();
  return doubts.some((doubt) => doubt.effect === effect);
}

/** The workflow is told what the ledger holds, and that is the receiver's own receipt. */
async function wrongEnd(
  world: MatrixWorld,
  { played, end, transferId }: Found,
  receipts: readonly { readonly receiptId: string }[],
): Promise<readonly string[]> {
  if (end !== 'applied' && end !== 'refused') return [];
  const ended = await workflowEnd(world, played);
  if (!ended) return [`${end}, and the workflow does not end`];
  if (played.cell.contract === 'read') return [];
  if (end === 'applied' && transferId !== receipts[0]?.receiptId) {
    return [`its output is ${transferId}, the receipt ${receipts[0]?.receiptId}`];
  }
  const text = JSON.stringify(ended.output ?? ended.failure);
  const expected =
    played.cell.point === 14 ? 'completed' : end === 'applied' ? transferId : 'Refused';
  return text.includes(expected ?? '') ? [] : [`${end}, and the workflow ended with ${text}`];
}

/** One line for people. */
export function describe({ played, end, receipts, violations }: Verdict): string {
  const what = violations.length === 0 ? 'as predicted' : violations.join('; ');
  return `${nameOf(played.cell)} [${played.reference}]: ${end ?? 'open'}, ${receipts} receipts: ${what}`;
}
