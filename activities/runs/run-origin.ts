// Who a run is by its row: what is in here never changes once the run is open, so a process asks the ledger once.
import { createBoundedMap } from '../bounded-map.ts';
import type { Database } from '../ledger/database.ts';

export interface RunOrigin {
  readonly agent: string;
  readonly requester: string;
  readonly rootKey: string;
  readonly path: readonly string[];
  readonly workflowId: string;
  readonly isSession: boolean;
  /** Null until the run is open. */
  readonly agentHash: string | null;
  /** Null until the run is open, and of runs that an older build has opened. */
  readonly budget: PinnedBudget | null;
}

/** Of the agent's budget what the ledger holds a workflow to. */
export interface PinnedBudget {
  readonly turns: number;
  /** Levels of sub-agents. */
  readonly depth: number;
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
    if (origin?.agentHash) known.set(key, origin);
    return origin;
  };
}

async function readOrigin(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<RunOrigin | undefined> {
  const [row] = await database.query<RunOrigin>(
    `select agent, requester, root_key as "rootKey", path, workflow_id as "workflowId", is_session as "isSession",
       agent_hash as "agentHash", budget
     from pawl.runs where tenant = $1 and run_key = $2`,
    [tenant, runKey],
    { isPrepared: true },
  );
  return row?.agent === LOST_AGENT ? undefined : row;
}
