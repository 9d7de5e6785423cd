// `doctor`: whether Temporal has asked for something that no row of the ledger backs.
import type { ClientContext } from './context.ts';
import type { HealthCheck } from './health-check.ts';

interface RefusalRow {
  readonly what: string;
  readonly count: number;
  readonly lastAt: Date;
  readonly activity: string;
  readonly workflowId: string;
  readonly why: string;
}

const NAME = 'authority';

/** Warns for a week after the last refusal; one that is older is part of the count only. */
export async function checkAuthority({ database }: ClientContext): Promise<HealthCheck> {
  const rows = await database
    .query<RefusalRow>(
      `select what, count, last_at as "lastAt", activity, workflow_id as "workflowId", why from pawl.refusals
       where last_at > clock_timestamp() - interval '7 days' order by last_at desc`,
    )
    .catch(() => undefined);
  if (!rows) {
    return { name: NAME, status: 'unknown', detail: 'not looked at: the schema failed' };
  }
  const [last] = rows;
  if (!last) {
    const detail = 'Temporal asked for nothing that the ledger does not back';
    return { name: NAME, status: 'pass', detail };
  }
  const counts = rows.map(({ what, count }) => `${what} ${count}`).join(', ');
  const detail =
    `refused what no row backs: ${counts}; last ${last.lastAt.toISOString()}: ` +
    `${last.activity} of workflow ${JSON.stringify(last.workflowId)}: ${last.why}`;
  const advice =
    'Nothing was sent. Somebody who can reach Temporal asked for it, or a worker of an older build: ' +
    'see Authority.Refused in docs/errors.md, and close the frontend to strangers.';
  return { name: NAME, status: 'warn', detail, advice };
}
