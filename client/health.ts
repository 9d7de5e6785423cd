// `doctor`: checks everything that a run needs, and says for each what to do. Never prints a secret.
import type { ClientContext } from './context.ts';
import { listWorkers } from './agents.ts';
import { checkAuthority } from './authority-health.ts';
import { checkHistories } from './check-histories.ts';
import { checkStanding, LEDGER_CHECKS } from './check-ledger.ts';
import { checkEncryption } from './encryption-health.ts';
import { isPawlError } from './errors.ts';
import type { HealthCheck } from './health-check.ts';
import type { TemporalHealth } from './temporal.ts';

export interface HealthReport {
  /** The worst of the checks. */
  readonly status: 'pass' | 'warn' | 'fail';
  readonly checks: readonly HealthCheck[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 19;
const CLOCK_DIFFERENCE_MS_MAX = 2_000;
const PROVIDER_KEYS = ['ANTHROPIC_API_KEY', 'OPENAI_API_KEY'];
/** A test holds it against the folder of migrations. */
export const NEWEST_MIGRATION = '0012_roles';

/** Runs every check; only a programmer's error throws. */
export async function diagnose(
  context: ClientContext,
  env: Environment = process.env,
): Promise<HealthReport> {
  const [ledger, temporal] = await Promise.all([checkLedger(context), checkTemporal(context)]);
  const isUp = [...ledger, ...temporal].every(({ status }) => status !== 'unknown');
  const both = isUp ? await checkHistories(context) : unknownFrom('histories', 'a check above');
  const node = checkNode(process.versions.node);
  const checks = [node, ...ledger, ...temporal, both, checkProviderKeys(env)];
  return { status: worstOf(checks), checks };
}

/** The worst status; what is unknown already has a failed check before it. */
export function worstOf(checks: readonly HealthCheck[]): HealthReport['status'] {
  if (checks.some(({ status }) => status === 'fail')) return 'fail';
  return checks.some(({ status }) => status === 'warn') ? 'warn' : 'pass';
}

/** Whether this Node can run Pawl. */
export function checkNode(version: string): HealthCheck {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNewEnough =
    major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN);
  const needed = `${NODE_MAJOR_MIN}.${NODE_MINOR_MIN}`;
  if (isNewEnough) return { name: 'node', status: 'pass', detail: `Node ${version}` };
  const advice = `Install Node ${needed} or newer; 24 is what we deploy on.`;
  return { name: 'node', status: 'fail', detail: `Node ${version}, needs ${needed}`, advice };
}

async function checkLedger(context: ClientContext): Promise<HealthCheck[]> {
  const reached = await checkDatabase(context);
  const isDown = reached.some(({ status }) => status === 'fail');
  if (isDown) {
    const names = ['workers', ...LEDGER_CHECKS, 'encryption', 'authority'];
    return [...reached, ...unknown(names, 'the database')];
  }
  const [workers, standing, ...rest] = await Promise.all([
    checkWorkers(context),
    checkStanding(context),
    checkEncryption(context),
    checkAuthority(context),
  ]);
  return [...reached, workers, ...standing, ...rest];
}

function unknown(names: readonly string[], cause: string): HealthCheck[] {
  return names.map((name) => ({
    name,
    status: 'unknown',
    detail: `not looked at: ${cause} failed`,
  }));
}

async function checkDatabase(context: ClientContext): Promise<HealthCheck[]> {
  const { database } = context;
  try {
    // Connects, so that only the second statement's round trip blurs the clocks.
    await database.query('select 1');
    const sentAtMs = Date.now();
    const [row] = await database.query<{ version: string; nowMs: number }>(
      `select current_setting('server_version') as version,
         extract(epoch from clock_timestamp())::float8 * 1000 as "nowMs"`,
    );
    const roundTripMs = Date.now() - sentAtMs;
    const detail = `PostgreSQL ${row?.version ?? '?'} at ${database.address}, ${roundTripMs} ms`;
    return [
      { name: 'database', status: 'pass', detail },
      await checkSchema(context),
      checkClock((row?.nowMs ?? 0) - (sentAtMs + roundTripMs / 2), roundTripMs),
    ];
  } catch (error) {
    if (!isPawlError(error)) throw error;
    const failed: HealthCheck = { name: 'database', status: 'fail', detail: error.message };
    return [failed, ...unknown(['schema', 'clock'], 'the database')];
  }
}

/** Whether the database's clock, which leases are measured on, and this machine's agree. */
export function checkClock(differenceMs: number, roundTripMs: number): HealthCheck {
  const rounded = Math.round(differenceMs);
  const detail = `the database's clock is ${Math.abs(rounded)} ms ${rounded < 0 ? 'behind' : 'ahead of'} this machine's`;
  const isFine = Math.abs(differenceMs) - roundTripMs / 2 <= CLOCK_DIFFERENCE_MS_MAX;
  if (isFine) return { name: 'clock', status: 'pass', detail };
  const advice = 'Synchronise the clocks (NTP): times in the output mislead, leases stay safe.';
  return { name: 'clock', status: 'warn', detail, advice };
}

async function checkSchema(context: ClientContext): Promise<HealthCheck> {
  const { database } = context;
  const advice = 'Start a worker or `pawl dev` of this version: it migrates.';
  try {
    const [row] = await database.query<{ name: string }>(
      'select name from pawl_migrations order by id desc limit 1',
    );
    const name = row?.name ?? 'none';
    if (name >= NEWEST_MIGRATION)
      return { name: 'schema', status: 'pass', detail: `migrated to ${name}` };
    const detail = `migrated to ${name}, this build knows ${NEWEST_MIGRATION}`;
    return { name: 'schema', status: 'fail', detail, advice };
  } catch (error) {
    if (!isPawlError(error)) throw error;
    // The service role may not look at the migrations' own table.
    if (error.code === 'Database.Denied') return checkSchemaByTable(context);
    return { name: 'schema', status: 'fail', detail: error.message };
  }
}

async function checkSchemaByTable({ database }: ClientContext): Promise<HealthCheck> {
  const [row] = await database.query<{ runs: string | null }>(
    "select to_regclass('pawl.runs')::text as runs",
  );
  if (row?.runs) {
    const detail = 'migrated; this role may not read to which version';
    return { name: 'schema', status: 'pass', detail };
  }
  return { name: 'schema', status: 'fail', detail: 'pawl.runs is missing' };
}

async function checkWorkers(context: ClientContext): Promise<HealthCheck> {
  const workers = await listWorkers(context).catch(() => undefined);
  if (!workers) return unknownFrom('workers', 'the schema');
  const live = workers.filter(({ isLive, taskQueue }) => isLive && taskQueue === context.taskQueue);
  const builds = [...new Set(live.map(({ buildId }) => buildId))];
  const where = `on task queue "${context.taskQueue}"`;
  if (live.length > 0) {
    const names = [...new Set(live.flatMap(({ agents }) => Object.keys(agents)))];
    const detail = `${live.length} live ${where} (build ${builds.join(', ')}; agents: ${names.join(', ') || 'none'})`;
    return { name: 'workers', status: 'pass', detail };
  }
  const last = workers.find(({ taskQueue }) => taskQueue === context.taskQueue);
  const seen = last ? `, last seen ${last.seenAt.toISOString()} (${last.identity})` : '';
  const advice = 'Start one (`pawl dev`, or your own): runs wait meanwhile and lose nothing.';
  return { name: 'workers', status: 'fail', detail: `none live ${where}${seen}`, advice };
}

function unknownFrom(name: string, cause: string): HealthCheck {
  return { name, status: 'unknown', detail: `not looked at: ${cause} failed` };
}

async function checkTemporal(context: ClientContext): Promise<HealthCheck[]> {
  const { temporal, taskQueue } = context;
  try {
    const health = await temporal.health(taskQueue);
    return [
      {
        name: 'temporal',
        status: 'pass',
        detail: `server ${health.serverVersion} at ${temporal.address}`,
      },
      { name: 'namespace', status: 'pass', detail: `"${temporal.namespace}"` },
      checkPollers(health, taskQueue),
    ];
  } catch (error) {
    if (!isPawlError(error)) throw error;
    if (error.code === 'Temporal.NamespaceUnknown') {
      const reached: HealthCheck = {
        name: 'temporal',
        status: 'pass',
        detail: `at ${temporal.address}`,
      };
      const failed: HealthCheck = { name: 'namespace', status: 'fail', detail: error.message };
      return [reached, failed, unknownFrom('task queue', 'the namespace')];
    }
    const failed: HealthCheck = { name: 'temporal', status: 'fail', detail: error.message };
    return [failed, ...unknown(['namespace', 'task queue'], 'Temporal')];
  }
}

/** Whether somebody takes tasks. Temporal remembers a poller for five minutes: the workers' rows are sharper. */
export function checkPollers(health: TemporalHealth, taskQueue: string): HealthCheck {
  const { workflowPollers, activityPollers } = health;
  const detail = `"${taskQueue}" has ${workflowPollers} workflow and ${activityPollers} activity pollers (seen within 5 min)`;
  if (workflowPollers > 0 && activityPollers > 0)
    return { name: 'task queue', status: 'pass', detail };
  const advice = `Start a worker on task queue "${taskQueue}", or correct PAWL_TASK_QUEUE.`;
  return { name: 'task queue', status: 'fail', detail, advice };
}

/** Only whether the keys are set, never what they are. A worker has its own environment. */
export function checkProviderKeys(env: Environment): HealthCheck {
  const set = PROVIDER_KEYS.filter((name) => env[name]);
  if (set.length > 0)
    return { name: 'provider keys', status: 'pass', detail: `set here: ${set.join(', ')}` };
  const detail = `none set here (${PROVIDER_KEYS.join(', ')})`;
  const advice =
    'Workers need the key of the provider that their agents name; the local provider needs none.';
  return { name: 'provider keys', status: 'warn', detail, advice };
}
