// A human's word about a doubt: one row with the evidence. The engine turns it into a fact; nothing here changes an effect.
import { ulid } from 'ulid';
import { jsonBody, textBody } from '../activities/encryption/encryption.ts';
import type { Json } from '../domain/rules/json.ts';
import type { ClientContext } from './context.ts';
import { type EffectView, findEffect } from './effect-views.ts';
import {
  ArgumentInvalidError,
  NotSettleableError,
  OutcomeConflictError,
  SettlementPendingError,
  UnknownIdError,
} from './errors.ts';
import { resolveId } from './ids.ts';
import type { Wake } from './temporal.ts';
import { toExactJson } from './text-rules.ts';

export interface SettleOptions {
  /** `applied`: the receiver did it. `not_applied`: it certainly did not and will not. */
  readonly outcome: 'applied' | 'not_applied';
  /** What the tool would have returned; only for `applied`. */
  readonly output?: Json | undefined;
  /** How you know: a receipt number, a ticket, a name at the receiver. */
  readonly evidence: string;
  /** @default the client's requester */
  readonly by?: string | undefined;
  /** Put it on record although the ledger has the opposite outcome: that becomes a conflict. @default false */
  readonly contradict?: boolean | undefined;
}

export interface SettlementView {
  readonly id: string;
  readonly outcome: 'applied' | 'not_applied';
  readonly output: Json;
  readonly evidence: string;
  readonly settledBy: string;
  readonly settledAt: Date;
  /** The engine has made a fact of it. */
  readonly isTakenUp: boolean;
}

export interface SettleAnswer {
  readonly effect: EffectView;
  /** Of a repetition: the first one, which stands with its own evidence. */
  readonly settlement: SettlementView;
  readonly isRepetition: boolean;
  readonly wake: Wake;
}

/**
 * Settles a doubt or a conflict. Repeating the same settlement only wakes the run again, also when it has been taken up.
 * Against an existing outcome it throws OutcomeConflictError, unless it is to `contradict`.
 */
export async function settleEffect(
  context: ClientContext,
  typed: string,
  given: SettleOptions,
): Promise<SettleAnswer> {
  const options = checkOptions(given);
  const shortId = await resolveId(context, 'effect', typed);
  const effect = await findEffect(context, shortId);
  if (!effect) throw new UnknownIdError('effect', typed, context.tenant);
  const known = await findSaidAlready(context, effect, options);
  if (!known) checkSettleable(effect, options);
  const { settlement, isRepetition } = known ?? (await insertSettlement(context, effect, options));
  return { effect, settlement, isRepetition, wake: await wakeWaiter(context, effect, settlement) };
}

interface Recorded {
  readonly settlement: SettlementView;
  readonly isRepetition: boolean;
}

/** The same words of the same person, or what a settlement has made of the effect: saying it again changes nothing. */
async function findSaidAlready(
  context: ClientContext,
  effect: EffectView,
  { outcome, evidence, by = context.requester }: SettleOptions,
): Promise<Recorded | undefined> {
  const said = await listSettlements(context, effect.id);
  const agreeing = said.filter((one) => one.outcome === outcome);
  // In a conflict, too: a command that is sent twice must not begin a contradiction and end it.
  const same = agreeing.find((one) => one.evidence === evidence && one.settledBy === by);
  const isOutcome = !effect.hasConflict && STATUS_AFTER[outcome] === effect.status;
  const settlement = same ?? (isOutcome ? agreeing.findLast((one) => one.isTakenUp) : undefined);
  return settlement && { settlement, isRepetition: true };
}

const STATUS_AFTER = { applied: 'applied', not_applied: 'refused' } as const;

function checkSettleable(effect: EffectView, { outcome, contradict = false }: SettleOptions): void {
  const { status, hasConflict, isPending, isUnattended } = effect;
  // Whoever has asked the receiver need not wait until its time is up.
  if (status === 'in_doubt' || isPending || hasConflict) return;
  const isDefinite = status === 'applied' || status === 'refused';
  if (!isDefinite || STATUS_AFTER[outcome] === status) {
    throw new NotSettleableError(effect.effect, status, isUnattended);
  }
  if (!contradict) throw new OutcomeConflictError(effect.effect, status, outcome, effect.updatedAt);
}

/** With the output as it is stored. */
function checkOptions(given: SettleOptions): SettleOptions {
  const { outcome, output } = given;
  if (output === undefined) return given;
  if (outcome === 'applied') return { ...given, output: toExactJson('output', output) };
  throw new ArgumentInvalidError('output: an effect that was not applied has none.');
}

/** Under the lock of the effect's own settlements: two people who settle at once cannot contradict each other. */
function insertSettlement(
  context: ClientContext,
  effect: EffectView,
  { outcome, output, evidence, by = context.requester }: SettleOptions,
): Promise<Recorded> {
  const { database, tenant } = context;
  const owner = { tenant, runKey: effect.runKey };
  return database.transaction(async (query) => {
    await query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `pawl.settlements ${tenant} ${effect.id}`,
    ]);
    const waiting = await query<SettlementView>(
      `${SETTLEMENTS} where s.tenant = $1 and s.effect_id = $2 and ${NOT_TAKEN_UP}`,
      [tenant, effect.id],
    );
    const [first] = waiting;
    if (first?.outcome === outcome) return { settlement: first, isRepetition: true };
    if (first) {
      throw new SettlementPendingError(
        effect.effect,
        first.outcome,
        first.settledBy,
        first.settledAt,
      );
    }
    const id = `st_${ulid()}`;
    await query(
      `insert into pawl.settlements (tenant, effect_id, id, outcome, output, evidence, settled_by)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        ...[tenant, effect.id, id, outcome],
        jsonBody(owner, 'settlements.output', output),
        textBody(owner, 'settlements.evidence', evidence),
        by,
      ],
    );
    const [inserted] = await query<SettlementView>(
      `${SETTLEMENTS} where s.tenant = $1 and s.effect_id = $2 and s.id = $3`,
      [tenant, effect.id, id],
    );
    if (!inserted) throw new Error(`The settlement ${id} is not there after its insert`);
    return { settlement: inserted, isRepetition: false };
  });
}

const NOT_TAKEN_UP = `not exists (select 1 from pawl.effect_facts f
  where f.tenant = s.tenant and f.effect_id = s.effect_id and f.data->>'settlement' = s.id)`;

const SETTLEMENTS = `
  select s.id, s.outcome, s.output, s.evidence, s.settled_by as "settledBy", s.settled_at as "settledAt",
    not ${NOT_TAKEN_UP} as "isTakenUp"
  from pawl.settlements s`;

/** All settlements of one effect, oldest first. */
export function listSettlements(
  { database, tenant }: ClientContext,
  effectId: string,
): Promise<SettlementView[]> {
  return database.query<SettlementView>(
    `${SETTLEMENTS} where s.tenant = $1 and s.effect_id = $2 order by s.settled_at, s.id`,
    [tenant, effectId],
  );
}

function wakeWaiter(
  context: ClientContext,
  effect: EffectView,
  settlement: SettlementView,
): Promise<Wake> {
  if (effect.workflowId === null) {
    const message = 'no workflow waits for this effect';
    return Promise.resolve({ kind: 'not-delivered', reason: 'no-waiter', message });
  }
  return context.temporal.wake(effect.workflowId, {
    name: 'settled',
    message: { v: 1, effect: effect.effect, settlement: settlement.id },
  });
}
