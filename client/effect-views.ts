// How effects are read: the current state of each, as the engine has folded it.
import type { Contract } from '../domain/rules/contract.ts';
import type { EffectStatus } from '../domain/rules/effect.ts';
import type { Json } from '../domain/rules/json.ts';
import type { Amount } from '../domain/rules/money.ts';
import type { ClientContext } from './context.ts';
import { behind, createStatement, orderBy, type PageOptions, type PageOrder } from './pages.ts';

export interface EffectView {
  /** `ef_…`: the id that people type. */
  readonly effect: string;
  /** The canonical id: a JSON array. */
  readonly id: string;
  readonly runKey: string;
  readonly turn: number;
  readonly call: string;
  readonly generation: number;
  /** Who is woken by a settlement; null when nobody waits. */
  readonly workflowId: string | null;
  readonly tool: string;
  readonly contract: Contract;
  readonly status: EffectStatus;
  /** The receiver has accepted it and has not said yet what became of it; it has until `leaseUntil`. */
  readonly isPending: boolean;
  /** The receiver's own name for what it has accepted. */
  readonly reference: string | null;
  /** Two definite observations contradict each other. */
  readonly hasConflict: boolean;
  /** The receiver's or Pawl's code of a refusal, such as `card_declined`. */
  readonly code: string | null;
  /** Why it is refused, in doubt, or unattended. */
  readonly reason: string | null;
  readonly summary: string;
  readonly arguments: Json;
  readonly fingerprint: string;
  readonly amount: Amount | null;
  /** What goes out as the `Idempotency-Key`: ask the receiver's support for it. */
  readonly wireKey: string;
  readonly keyRetentionMs: number | null;
  readonly hasProbe: boolean;
  readonly identityHash: string | null;
  readonly holdsIdentity: boolean;
  /** Id of the effect that had already done this. */
  readonly sameAs: string | null;
  /** Id of the effect that this one undoes. */
  readonly compensates: string | null;
  /** Short id of what has undone it, or is about to. */
  readonly compensatedBy: string | null;
  readonly approvalId: string | null;
  /** Sends that are not proven unsent, and how many are allowed. */
  readonly sends: number;
  readonly sendsMax: number;
  readonly absents: number;
  readonly output: Json;
  readonly outputProblem: string | null;
  readonly claimedBy: string | null;
  readonly leaseUntil: Date | null;
  /** Some worker may be sending at this very moment. */
  readonly isOnWire: boolean;
  /** Sent, without an outcome, and for a minute after its lease nobody has looked after it. */
  readonly isUnattended: boolean;
  readonly firstSentAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

type EffectRow = Omit<EffectView, 'amount'> & {
  amountMinor: number | null;
  currency: string | null;
};

/** What a sweep would have looked at by now. A look that began and never ended counts as none. */
export const UNATTENDED = `e.status = 'dispatched'
  and e.lease_until < clock_timestamp() - interval '1 minute'
  and e.updated_at < clock_timestamp() - interval '1 minute'`;

const EFFECTS = `
  select e.short_id as effect, e.id, e.run_key as "runKey", e.turn, e.call, e.generation,
    e.workflow_id as "workflowId", e.tool, e.contract, e.status, e.is_pending as "isPending",
    e.receiver_reference as reference, e.has_conflict as "hasConflict",
    e.code, e.reason, e.summary, e.arguments, e.fingerprint, e.amount_minor as "amountMinor", e.currency,
    e.wire_key as "wireKey", e.key_retention_ms as "keyRetentionMs", e.has_probe as "hasProbe",
    e.identity_hash as "identityHash", e.holds_identity as "holdsIdentity", e.same_as as "sameAs", e.compensates,
    (select u.short_id from pawl.effects u where u.tenant = e.tenant and u.compensates = e.id) as "compensatedBy",
    e.approval_id as "approvalId", e.sends, e.sends_max as "sendsMax", e.absents, e.output,
    e.output_problem as "outputProblem", e.claimed_by as "claimedBy", e.lease_until as "leaseUntil",
    coalesce(e.status = 'dispatched' and not e.is_pending and e.lease_until > clock_timestamp(), false)
      as "isOnWire",
    coalesce(${UNATTENDED}, false) as "isUnattended",
    e.first_sent_at as "firstSentAt", e.created_at as "createdAt", e.updated_at as "updatedAt"
  from pawl.effects e`;

export interface EffectFilter extends PageOptions {
  /** The last so many, in the same order; instead of `limit`. */
  readonly last?: number | undefined;
  readonly runKey?: string | undefined;
  readonly status?: EffectStatus | undefined;
  /** Only doubts: in doubt, in conflict, or unattended. */
  readonly isDoubt?: boolean | undefined;
  readonly isOnWire?: boolean | undefined;
}

const BY_ID = 'from pawl.effects e where e.tenant = $1 and e.short_id = $2';

/** Of one run in the order of its calls; doubts the oldest first; else the newest first. */
function orderOf({ runKey, isDoubt }: EffectFilter): PageOrder {
  const byTime = [
    ['e.created_at', 'timestamptz'],
    ['e.id', 'text'],
  ] as const;
  const byCall = [
    ['e.turn', 'integer'],
    ['e.generation', 'integer'],
    ['length(e.call)', 'integer'],
    ['e.call', 'text'],
    ['e.id', 'text'],
  ] as const;
  if (runKey !== undefined)
    return { kind: 'effect', from: BY_ID, columns: byCall, direction: 'asc' };
  return { kind: 'effect', from: BY_ID, columns: byTime, direction: isDoubt ? 'asc' : 'desc' };
}

/** Effects: of one run in the order of its calls, doubts the oldest first, else the newest first. @default limit 1000 */
export async function listEffects(
  context: ClientContext,
  filter: EffectFilter = {},
): Promise<EffectView[]> {
  const { runKey, status, isDoubt, isOnWire, limit = 1_000, after, last } = filter;
  const statement = createStatement(context.tenant);
  const { $, values } = statement;
  const conditions = [
    'e.tenant = $1',
    ...(runKey === undefined ? [] : [`e.run_key = ${$(runKey)}`]),
    ...(status === undefined ? [] : [`e.status = ${$(status)}`]),
    ...(isOnWire
      ? [`e.status = 'dispatched' and not e.is_pending and e.lease_until > clock_timestamp()`]
      : []),
  ];
  const order = orderOf(filter);
  const isBehind = await behind(context, order, after, statement);
  const page = `${orderBy(order, last !== undefined)} limit ${$(last ?? limit)}`;
  const asked = `${conditions.join(' and ')}${isBehind}`;
  const text = isDoubt ? `e.tenant = $1 and ${isOneOf(DOUBTS, asked, page)}` : asked;
  const rows = await context.database.query<EffectRow>(`${EFFECTS} where ${text}${page}`, values);
  return (last === undefined ? rows : rows.reverse()).map(toEffectView);
}

/** Each kind has an index of its own. */
const DOUBTS = [`(e.status = 'in_doubt' or e.has_conflict)`, UNATTENDED] as const;

/** A page of each kind holds the page of all of them: one condition with `or` would read every row in between. */
function isOneOf(kinds: readonly string[], asked: string, page: string): string {
  const pages = kinds.map(
    (kind) => `(select e.id from pawl.effects e where ${asked} and ${kind}${page})`,
  );
  return `e.id = any(array(${pages.join(' union ')}))`;
}

/** One effect by its short id or by its canonical id. */
export async function findEffect(
  { database, tenant }: ClientContext,
  id: string,
): Promise<EffectView | undefined> {
  const rows = await database.query<EffectRow>(
    `${EFFECTS} where e.tenant = $1 and (e.short_id = $2 or e.id = $2)`,
    [tenant, id],
  );
  return rows[0] && toEffectView(rows[0]);
}

function toEffectView({ amountMinor, currency, ...effect }: EffectRow): EffectView {
  const amount =
    amountMinor !== null && currency !== null ? { minor: amountMinor, currency } : null;
  return { ...effect, amount, reason: effect.isUnattended ? whyUnattended(effect) : effect.reason };
}

/** It is a doubt for as long as nobody makes the next look, which may well find the outcome. */
function whyUnattended(effect: Omit<EffectRow, 'amountMinor' | 'currency'>): string {
  const { isPending, leaseUntil, updatedAt } = effect;
  const what = isPending
    ? 'accepted by the receiver, no outcome recorded, and its time is up'
    : 'sent, no answer recorded';
  const sinceMs = Math.max(leaseUntil?.getTime() ?? 0, updatedAt.getTime());
  return (
    `${what}, and not looked after since ${new Date(sinceMs).toISOString()}: ` +
    'is a worker running, with the encryption keys? Is its run paused?'
  );
}
