// One look at an effect with everything that a permission depends on: one statement, so all of it is of one moment.
import type { Body } from '../encryption/sealed-body.ts';
import type { Json } from '../../domain/rules/json.ts';
import { type Control, type Holder, standingTowards } from '../../domain/rules/permit.ts';
import { APPROVAL, type StandingRow, toApprovalStanding } from './approval-standing.ts';
import type { QueryOptions, Statements } from './database.ts';
import type { BeginAnswer } from './effect-ledger.ts';
import { type EffectRow, intend, NOT_AN_AGENTS, ROW, toRecord } from './effect-rows.ts';
import { IS_NOTICED } from './notices.ts';

/** A look, and whether something is written about the effect that no fact names yet. */
export interface Look extends BeginAnswer {
  readonly isNoticed: boolean;
}

/** Undefined when the ledger does not know the effect. */
export async function lookAt(
  statements: Statements,
  tenant: string,
  id: string,
  rootKey: string,
): Promise<Look | undefined> {
  const [row] = await statements.query<LookRow>(LOOK, [tenant, id, rootKey], {
    isPrepared: true,
  });
  return row && toLook(row);
}

/** Stores an intent and looks at it, as `toIntentRows` made it; undefined when it is there already, or may not be. */
export async function intendAndLook(
  statements: Statements,
  intent: Body,
  rootKey: string,
  options: QueryOptions,
): Promise<Look | undefined> {
  const [row] = await statements.query<LookRow>(INTEND_AND_LOOK, [intent, rootKey], {
    ...options,
    isPrepared: true,
  });
  return row && toLook(row);
}

interface LookRow extends EffectRow {
  control: Control | null;
  holder:
    | ({ shortId: string; status: Holder<Json>['state']['status'] } & Omit<Holder<Json>, 'state'>)
    | null;
  approval: StandingRow | null;
  seq: number;
  now: Date;
  noticed: boolean;
}

function toLook(row: LookRow): Look {
  const holder = row.holder && { ...row.holder, state: { status: row.holder.status } };
  return {
    record: toRecord(row),
    control: row.control ?? { paused: false, cancelled: false },
    identity: standingTowards(holder ?? undefined, row.fingerprint),
    decision: row.approval && toApprovalStanding(row.approval),
    seq: row.seq,
    nowMs: row.now.getTime(),
    isNoticed: row.noticed,
  };
}

/** What stands beside an effect `e`. */
function standing(rootKey: string): string {
  return `
    (select jsonb_build_object('paused', c.paused_at is not null, 'cancelled', c.cancelled_at is not null)
      from pawl.controls c where c.tenant = e.tenant and c.run_key = e.run_key) as control,
    (select jsonb_build_object(
        'shortId', h.short_id, 'status', h.status, 'fingerprint', h.fingerprint, 'output', h.output)
      from pawl.effects h
      where h.tenant = e.tenant and h.tool = e.tool and h.identity_hash = e.identity_hash
        and h.holds_identity and h.id <> e.id and e.sends = 0) as holder,
    coalesce((select s.seq from pawl.run_seqs s
      where s.tenant = e.tenant and s.root_key = ${rootKey}), 0) as seq,
    clock_timestamp() as now`;
}

const LOOK = `select ${ROW}, ${IS_NOTICED} as noticed, ${APPROVAL} as approval,
    ${standing('$3')}
  from pawl.effects e where e.tenant = $1 and e.id = $2`;

/** Its flush rides on the next durable commit: what is lost is intended again. Nobody has written about it yet. */
const INTEND_AND_LOOK = `with ${intend('$1', NOT_AN_AGENTS)}
  select e.*, false as noticed, null as approval, ${standing('$2')},
    set_config('synchronous_commit', 'off', true)
  from intended e`;
