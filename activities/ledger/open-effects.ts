// The lists by which sweeps find what nobody else looks after; no bodies, so that they can be read without keys.
import type { Database } from './database.ts';
import type { EffectLedger, OpenEffect, ToWake } from './effect-ledger.ts';

type Lists = Pick<
  EffectLedger,
  'findOverdue' | 'findDoubtsToAsk' | 'noteLook' | 'findToWake' | 'noteWoken'
>;

/** The part of the ledger that only sweeps use. */
export function createOpenEffects(database: Database): Lists {
  return {
    findOverdue(limit) {
      return database.query<OpenEffect>(
        `select ${OPEN} from pawl.effects where status = 'dispatched' and lease_until < clock_timestamp()
       order by greatest(lease_until, looked_at) limit $1`,
        [limit],
      );
    },
    findDoubtsToAsk: (tools, limit) =>
      database.query<OpenEffect>(
        `select ${OPEN} from pawl.effects,
         lateral (select greatest(updated_at, looked_at) as at) asked,
         lateral (select clock_timestamp() - asked.at as since,
           asked.at - coalesce(first_sent_at, created_at) as age) waited
       where status = 'in_doubt' and has_probe and tool = any($2)
         and waited.since > least(greatest(waited.age, interval '1 minute'), interval '1 hour')
       order by asked.at limit $1`,
        [limit, tools],
      ),
    async noteLook(tenant, id) {
      await database.query(
        'update pawl.effects set looked_at = clock_timestamp() where tenant = $1 and id = $2',
        [tenant, id],
      );
    },
    findToWake: (limit) => database.query<ToWake>(TO_WAKE, [limit]),
    async noteWoken(tenant, id) {
      await database.query(
        'update pawl.effects set wake_due = false where tenant = $1 and id = $2',
        [tenant, id],
      );
    },
  };
}

/** The columns of an `OpenEffect`. */
const OPEN =
  'tenant, id, short_id as "shortId", root_key as "rootKey", tool, workflow_id as "workflowId", ' +
  'coalesce(looked_at > updated_at, false) as "isSuspect"';

const TO_WAKE = `
  select e.tenant, e.id, (
    select coalesce(jsonb_agg(jsonb_build_object('effect', w.short_id, 'workflowId', w.workflow_id)), '[]')
    from pawl.effects w
    where w.tenant = e.tenant and w.workflow_id is not null
      and (w.id = e.id or (w.tool = e.tool and w.identity_hash = e.identity_hash and w.status = 'intended'))
  ) as waiters
  from pawl.effects e where e.wake_due order by e.tenant, e.id limit $1`;
