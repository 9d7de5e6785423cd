// Runs that cannot go on by themselves: parked with a cause, read for the inbox of a human.
import type { Json } from '../domain/rules/json.ts';
import type { ClientContext } from './context.ts';
import { behind, createStatement, orderBy, type PageOptions, type PageOrder } from './pages.ts';

/** A run that is parked until a human has repaired something. */
export interface StuckRunView {
  readonly runKey: string;
  /** `(lost)` when the ledger no longer knows how the run was started. */
  readonly agent: string;
  readonly workflowId: string;
  readonly turn: number;
  /** A failure type of docs/errors.md, such as `Ledger.RolledBack`. */
  readonly type: string;
  readonly message: string;
  /** Null when the cause does not say. */
  readonly stuckAt: Date | null;
  /** What to do, in one or two sentences. */
  readonly advice: string;
}

const LONGEST_FIRST: PageOrder = {
  kind: 'run',
  from: 'from pawl.runs r where r.tenant = $1 and r.run_key = $2',
  columns: [
    [`coalesce(r.stuck_cause->>'at', '')`, 'text'],
    ['r.run_key', 'text'],
  ],
  direction: 'asc',
};

/** Runs that nothing but a human takes up again, the longest stuck first. @default limit 1000 */
export async function listStuckRuns(
  context: ClientContext,
  { limit = 1_000, after }: PageOptions = {},
): Promise<StuckRunView[]> {
  const statement = createStatement(context.tenant);
  const isBehind = await behind(context, LONGEST_FIRST, after, statement);
  const rows = await context.database.query<StuckRow>(
    `select r.run_key as "runKey", r.agent, r.workflow_id as "workflowId", r.turn, r.stuck_cause as cause
     from pawl.runs r
     where r.tenant = $1 and r.stuck_cause is not null and r.finished_at is null${isBehind}
     ${orderBy(LONGEST_FIRST)} limit ${statement.$(limit)}`,
    statement.values,
  );
  return rows.map(toView);
}

type StuckRow = Pick<StuckRunView, 'runKey' | 'agent' | 'workflowId' | 'turn'> & { cause: Json };

function toView({ cause, ...row }: StuckRow): StuckRunView {
  const { type, message, at } = readCause(cause);
  const stuckAt = at === undefined ? null : new Date(at);
  return { ...row, type, message, stuckAt, advice: adviceFor(type, row.runKey) };
}

/** Rows of any age: a cause is what some worker once wrote. */
function readCause(cause: Json): { type: string; message: string; at: string | undefined } {
  const isObject = typeof cause === 'object' && cause !== null && !Array.isArray(cause);
  const named: Readonly<Record<string, Json>> = isObject
    ? (cause as Readonly<Record<string, Json>>)
    : { message: cause };
  const { type, message, at } = named;
  return {
    type: typeof type === 'string' ? type : 'Error',
    message: typeof message === 'string' ? message : JSON.stringify(cause),
    at: typeof at === 'string' && !Number.isNaN(Date.parse(at)) ? at : undefined,
  };
}

/** Resuming is right after every repair but one: a ledger that lost time stays behind what was done. */
function adviceFor(type: string, runKey: string): string {
  if (type === 'Ledger.RolledBack') {
    return (
      'Nothing more is sent. Put the newer ledger back, then resume; if it is lost: compare the receivers’ records ' +
      `with \`pawl effects --run ${runKey}\`, correct what is missing, \`pawl cancel ${runKey}\`, start a new run.`
    );
  }
  return `docs/errors.md says what ${type} needs; after the repair: \`pawl resume ${runKey}\`.`;
}
