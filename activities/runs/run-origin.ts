// By whom a run was started, of which agent: it never changes, so a process asks the ledger once.
import { createBoundedMap } from '../bounded-map.ts';
import type { Database } from '../ledger/database.ts';

export interface RunOrigin {
  readonly agent: string;
  readonly requester: string;
}

/** In place of an agent's name in the row that shows a run which the ledger has lost; no agent can be named so. */
export const LOST_AGENT = '(lost)';

/** Undefined when the ledger does not hold the run. */
export type OriginOf = (tenant: string, runKey: string) => Promise<RunOrigin | undefined>;

const ORIGINS_MAX = 10_000;

export function createOriginOf(database: Database): OriginOf {
  const known = createBoundedMap<string, RunOrigin>(ORIGINS_MAX);
  return async (tenant, runKey) => {
    const key = `${tenant}\n${runKey}`;
    const origin = known.get(key) ?? (await readOrigin(database, tenant, runKey));
    if (origin) known.set(key, origin);
    return origin;
  };
}

async function readOrigin(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<RunOrigin | undefined> {
  const [row] = await database.query<{ agent: string; requester: string }>(
    'select agent, requester from pawl.runs where tenant = $1 and run_key = $2',
    [tenant, runKey],
    { isPrepared: true },
  );
  return row?.agent === LOST_AGENT ? undefined : row;
}
