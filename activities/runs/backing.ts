// What Temporal asks for is held against the ledger's rows here: it carries order, never authority. What no row backs is
// refused for good and counted; whoever can reach Temporal may delay, repeat or stop work, and no more.
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { FailureType } from '../../domain/rules/failure.ts';
import { type EffectAddress, isRunKey } from '../../domain/rules/ids.ts';
import { canonicalJson } from '../effects/fingerprint.ts';
import type { Database } from '../ledger/database.ts';
import { unbacked } from '../ledger/unbacked.ts';
import type { OriginOf, RunOrigin } from './run-origin.ts';

type Address = Omit<EffectAddress, 'call'>;

/** What an activity of an agent's run says of the run. */
export interface RunClaim {
  readonly tenant: string;
  readonly runKey: string;
  readonly rootKey?: string;
  readonly path?: readonly string[];
  readonly generation?: number;
  readonly agent?: string;
  readonly agentHash?: string;
  /** The turn of a model call. */
  readonly turn?: number;
  readonly session?: boolean;
  readonly depthLeft?: number;
}

export interface BackingDeps {
  readonly originOf: OriginOf;
}

/** What an activity's address says of its run. */
export function toClaim(
  runKey: string,
  { tenant, rootKey, path, generation }: Address,
): RunClaim & Pick<Address, 'rootKey' | 'path' | 'generation'> {
  return { tenant, runKey, rootKey, path, generation };
}

/**
 * The run's own row, where what is claimed of it is what the row says, and the run's own workflow asks. Undefined: the
 * ledger does not hold the run, which each activity refuses in its own words. Throws `Authority.Refused`.
 */
export async function requireOwnRun(
  { originOf }: BackingDeps,
  claim: RunClaim,
): Promise<RunOrigin | undefined> {
  const origin = await originOf(claim.tenant, claim.runKey);
  if (!origin) return undefined;
  const { workflowId } = Context.current().info.workflowExecution ?? {};
  if (workflowId !== origin.workflowId) {
    throw unbacked('run', `it is asked for by "${workflowId ?? 'no workflow'}", another workflow`);
  }
  const stray = differenceOf(claim, origin) ?? (await overBudget(originOf, claim, origin));
  if (stray !== undefined) throw unbacked('run', `${claim.runKey}: ${stray}`);
  return origin;
}

/** A run that the ledger has lost is shown under its own name only. Throws `Authority.Refused`. */
export async function requireParkable(deps: BackingDeps, claim: RunClaim): Promise<void> {
  if (await requireOwnRun(deps, claim)) return;
  const { workflowId } = Context.current().info.workflowExecution ?? {};
  if (isRunKey(claim.runKey) && workflowId === claim.runKey) return;
  throw unbacked('run', 'the ledger knows no such run, and the workflow is not named after it');
}

/** An answer that counts is in the ledger before its run completes: a workflow's word alone ends no run so. */
export async function requireAnswered(
  database: Database,
  { tenant, runKey }: Pick<RunClaim, 'tenant' | 'runKey'>,
): Promise<void> {
  const [last] = await database.query<{ isValid: boolean | null }>(
    `select (result->'final'->>'isValid')::boolean as "isValid" from pawl.model_steps
     where tenant = $1 and run_key = $2 order by turn desc limit 1`,
    [tenant, runKey],
  );
  // A ledger without the step is an older one, which the activity refuses as such.
  if (last && last.isValid !== true) throw unbacked('run', `${runKey} has no final answer yet`);
}

/** No client raises a generation yet: a raised one comes from a stranger. */
const GENERATION = 0;

function differenceOf(claim: RunClaim, origin: RunOrigin): string | undefined {
  const pairs: readonly (readonly [what: string, claimed: unknown, held: unknown])[] = [
    ['root', claim.rootKey, origin.rootKey],
    ['path', claim.path && canonicalJson(claim.path), canonicalJson(origin.path)],
    ['generation', claim.generation, GENERATION],
    ['agent', claim.agent, origin.agent],
    // Not open in the ledger: an older one, which the activity refuses as such.
    ['description', claim.agentHash, origin.agentHash ?? claim.agentHash],
    ['session', claim.turn === undefined ? undefined : (claim.session ?? false), origin.isSession],
  ];
  const differs = pairs.find(([, claimed, held]) => claimed !== undefined && claimed !== held);
  return differs && `its ${differs[0]} is not the one in the ledger`;
}

/** What the workflow carries may be forged; the budget in the row was pinned when the run was opened. */
async function overBudget(
  originOf: OriginOf,
  { tenant, turn, depthLeft }: RunClaim,
  { rootKey, path, budget, isSession }: RunOrigin,
): Promise<string | undefined> {
  // Opened by a build that pinned none.
  if (turn === undefined || !budget) return undefined;
  if (!isSession && turn > budget.turns) return `turn ${turn} is past its ${budget.turns} turns`;
  if (depthLeft === undefined) return undefined;
  const root = path.length > 0 ? (await originOf(tenant, rootKey))?.budget : undefined;
  const left = Math.min(budget.depth, root ? root.depth - path.length : Infinity);
  return depthLeft > left ? `it may start sub-agents ${left} levels deep at most` : undefined;
}

const SHOWN_MAX = 200;

/** Runs an activity and counts its refusal, when it is one. */
export async function countingRefusals<T>(
  database: Database,
  activity: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApplicationFailure && error.type === FailureType.AuthorityRefused) {
      const [what = 'run', why = error.message] = (error.details ?? []) as readonly string[];
      await noteRefusal(database, activity, what, why);
    }
    throw error;
  }
}

/** Best effort: a refusal that could not be counted is one all the same. */
export async function noteRefusal(
  database: Database,
  activity: string,
  what: string,
  why: string,
): Promise<void> {
  const { workflowId = '' } = Context.current().info.workflowExecution ?? {};
  const shown = [activity, workflowId, why].map((text) => text.slice(0, SHOWN_MAX));
  await database
    .query(
      `insert into pawl.refusals as r (what, activity, workflow_id, why) values ($1, $2, $3, $4)
       on conflict (what) do update set count = r.count + 1, last_at = clock_timestamp(),
         activity = excluded.activity, workflow_id = excluded.workflow_id, why = excluded.why`,
      [what, ...shown],
    )
    .catch(() => undefined);
}
