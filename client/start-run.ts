// Starts a run: the row first, then the workflow of the same name; a repeated start finishes what a crash left half done.
import canonicalize from 'canonicalize';
import { ulid } from 'ulid';
import {
  type Body,
  type BodyOwner,
  jsonBody,
  partlySecret,
  secretMembers,
} from '../activities/encryption/encryption.ts';
import type { ForkOrigin } from '../domain/rules/fork-origin.ts';
import type { Json } from '../domain/rules/json.ts';
import type { AgentRunInput } from '../workflows/messages.ts';
import { checkInput, requireAgent } from './agents.ts';
import type { ClientContext } from './context.ts';
import type { Query } from './database.ts';
import { isPawlError, type PawlError, RunNotStartedError, StartKeyTakenError } from './errors.ts';
import { toExactJson } from './text-rules.ts';

export interface StartOptions {
  /** The same key starts the same run, however often and from wherever it is asked for. */
  readonly key?: string | undefined;
  /** @default the client's requester */
  readonly requester?: string | undefined;
  /** A session: after each answer it waits for what its user says next, until it is ended. @default false */
  readonly session?: boolean | undefined;
  /** Whom the run is about, as a pseudonym (it is not encrypted): `erase` finds all runs of a subject. */
  readonly subject?: string | undefined;
}

export interface StartedRun {
  readonly runKey: string;
  /** The same as the run key: what Temporal's UI shows. */
  readonly workflowId: string;
  /** False when the key had already started this run. */
  readonly isNew: boolean;
}

/** What a workflow is started from. */
export interface StoredRun {
  readonly runKey: string;
  readonly rootKey: string;
  readonly path: readonly string[];
  readonly agent: string;
  readonly input: Json;
  readonly isFinished: boolean;
  readonly isSession: boolean;
  /** Only of a fork. */
  readonly forkedFrom: ForkOrigin | null;
  /** Only of a sub-agent: who waits for it. */
  readonly parent: string | null;
  readonly createdAt: Date;
  /** Some execution has opened it. */
  readonly isOpened: boolean;
  readonly isErased: boolean;
}

export interface WorkflowStartOptions {
  /** An execution before it has ended or is lost: the new one goes on from what the ledger holds. @default false */
  readonly isAgain?: boolean | undefined;
}

/** Larger inputs stay in the row: history has no room for them. */
const INLINE_INPUT_BYTES_MAX = 64 * 1_024;

/** Starts a run of `agentName`; see PawlClient.start. */
export async function startRun(
  context: ClientContext,
  agentName: string,
  input: unknown,
  { key, requester = context.requester, session = false, subject }: StartOptions = {},
): Promise<StartedRun> {
  const json = toExactJson('input', input);
  const repeated = key === undefined ? undefined : await findByKey(context, key);
  if (!repeated) {
    checkInput(await requireAgent(context, agentName), json);
    // Asked before the row is written: a Temporal that is down leaves nothing behind.
    await context.temporal.ensureReachable();
  }
  const stored =
    repeated ??
    (await insertRun(context, { agentName, input: json, key, requester, session, subject }));
  if (key !== undefined) checkSame(key, stored.run, agentName, json);
  const { run, isNew } = stored;
  if (!run.isFinished) await startWorkflow(context, run);
  return { runKey: run.runKey, workflowId: run.runKey, isNew };
}

/** Starts the workflow of a stored run; false when it is or was already there. */
export async function startWorkflow(
  context: ClientContext,
  run: StoredRun,
  { isAgain = false }: WorkflowStartOptions = {},
): Promise<boolean> {
  const { temporal, taskQueue, tenant } = context;
  const { runKey, rootKey, path, agent } = run;
  // Encrypted, too, it would stay in a history that an erasure may not reach.
  const fits =
    context.keys === undefined &&
    Buffer.byteLength(JSON.stringify(run.input)) <= INLINE_INPUT_BYTES_MAX;
  const input: AgentRunInput = {
    v: 1,
    tenant,
    runKey,
    rootKey,
    path,
    agent,
    generation: 0,
    ...(fits ? { input: run.input } : {}),
    ...(run.isSession ? { session: true } : {}),
    ...forkOf(run),
    ...(run.parent === null ? {} : { parent: run.parent }),
    ...(isAgain ? { again: { startedAtMs: run.createdAt.getTime() } } : {}),
  };
  try {
    return await temporal.startRun({ input, taskQueue, summary: `${agent} · ${runKey}`, isAgain });
  } catch (error) {
    throw toNotStarted(runKey, error);
  }
}

/** Where a fork begins, and what it undoes first. */
function forkOf({ forkedFrom }: StoredRun): Pick<AgentRunInput, 'turn' | 'undo'> {
  if (!forkedFrom) return {};
  const { runKey, turn, compensated } = forkedFrom;
  if (compensated.length === 0) return { turn };
  return { turn, undo: { runKey, effects: compensated } };
}

function toNotStarted(runKey: string, error: unknown): PawlError {
  const why = error instanceof Error ? error.message : String(error);
  return new RunNotStartedError(runKey, isPawlError(error) ? why.replace(/\.$/, '') : why, error);
}

const STORED = `run_key as "runKey", root_key as "rootKey", path, agent, input,
  finished_at is not null as "isFinished", is_session as "isSession", forked_from as "forkedFrom",
  parent_run_key as parent, created_at as "createdAt", agent_hash is not null as "isOpened",
  erased_at is not null as "isErased"`;

/** One stored run by its full key. */
export async function readStoredRun(
  { database, tenant }: ClientContext,
  runKey: string,
): Promise<StoredRun | undefined> {
  const [run] = await database.query<StoredRun>(
    `select ${STORED} from pawl.runs where tenant = $1 and run_key = $2`,
    [tenant, runKey],
  );
  return run;
}

interface StartAnswer {
  readonly run: StoredRun;
  readonly isNew: boolean;
}

async function findByKey(context: ClientContext, key: string): Promise<StartAnswer | undefined> {
  const run = await selectByKey(context.database.query, context.tenant, key);
  return run && { run, isNew: false };
}

async function selectByKey(
  query: Query,
  tenant: string,
  key: string,
): Promise<StoredRun | undefined> {
  const [run] = await query<StoredRun>(
    `select ${STORED} from pawl.runs where tenant = $1 and start_key = $2`,
    [tenant, key],
  );
  return run;
}

interface NewRun {
  readonly agentName: string;
  readonly input: Json;
  readonly key: string | undefined;
  readonly requester: string;
  readonly session?: boolean;
  readonly subject?: string | undefined;
  readonly forkedFrom?: ForkOrigin;
}

/** The run and its controls in one transaction; when another start has the key, that one's run is returned. */
export function insertRun(context: ClientContext, start: NewRun): Promise<StartAnswer> {
  const { database, tenant } = context;
  const runKey = `run_${ulid()}`;
  const { agentName, key, requester } = start;
  const owner = { tenant, runKey };
  return database.transaction(async (query) => {
    const [run] = await query<StoredRun>(
      `insert into pawl.runs (tenant, run_key, root_key, path, agent, workflow_id, start_key, requester, input,
         forked_from, is_session, subject)
       values ($1, $2, $2, '[]', $3, $2, $4, $5, $6, $7, $8, $9)
       on conflict (tenant, start_key) where start_key is not null do nothing
       returning ${STORED}`,
      [
        tenant,
        runKey,
        agentName,
        key ?? null,
        requester,
        jsonBody(owner, 'runs.input', start.input),
        start.forkedFrom ? toForkBody(owner, start.forkedFrom) : null,
        start.session ?? false,
        start.subject ?? null,
      ],
    );
    if (run) {
      await query('insert into pawl.controls (tenant, run_key) values ($1, $2)', [tenant, runKey]);
      return { run, isNew: true };
    }
    const winner = key === undefined ? undefined : await selectByKey(query, tenant, key);
    if (!winner) throw new Error(`The start key ${String(key)} was taken and is gone again`);
    return { run: winner, isNew: false };
  });
}

/** Where the fork begins is for SQL; what is said to its model is not. */
function toForkBody(owner: BodyOwner, origin: ForkOrigin): Body {
  const place = 'runs.forked_from';
  return partlySecret(owner, place, secretMembers(place, origin, ['message']));
}

function checkSame(key: string, run: StoredRun, agentName: string, input: Json): void {
  if (run.agent !== agentName)
    throw new StartKeyTakenError(key, run.runKey, `agent (${run.agent})`);
  if (canonicalize(run.input) !== canonicalize(input)) {
    throw new StartKeyTakenError(key, run.runKey, 'input');
  }
}
