// The servers of test runs: those that the environment names, else ephemeral ones for the tests of this file.
import { startPostgres } from '../devstack/servers/postgres-server.ts';
import { startTemporal } from '../devstack/servers/temporal-server.ts';
import { TEST_DATABASE_URL, TEST_TEMPORAL_ADDRESS } from '../devstack/test-servers.ts';

/** Where the tests' servers are. */
export interface TestServers {
  readonly temporalAddress: string;
  /** Any database of a PostgreSQL where databases may be made and dropped. */
  readonly databaseUrl: string;
}

let found: Promise<TestServers> | undefined;
const stops: (() => Promise<void>)[] = [];

/**
 * `PAWL_TEST_TEMPORAL_ADDRESS`, else `TEMPORAL_ADDRESS`, else an ephemeral Temporal; `PAWL_TEST_DATABASE_URL`, else the
 * server of `DATABASE_URL` (its databases are left alone), else an ephemeral PostgreSQL. What it starts ends with the
 * test file under Jest (a start costs some seconds: name servers for many files), elsewhere by `stopTestServers`.
 */
export function findTestServers(): Promise<TestServers> {
  found ??= lookForServers();
  return found;
}

/** Ends what `findTestServers` has started; servers that the environment names are left alone. */
export async function stopTestServers(): Promise<void> {
  const starting = found;
  found = undefined;
  await starting?.catch(() => undefined);
  await Promise.all(stops.splice(0).map((stop) => stop()));
}

async function lookForServers(): Promise<TestServers> {
  const [temporalAddress, databaseUrl] = await Promise.all([
    named(TEST_TEMPORAL_ADDRESS, 'TEMPORAL_ADDRESS') ?? startEphemeralTemporal(),
    named(TEST_DATABASE_URL, 'DATABASE_URL') ?? startEphemeralPostgres(),
  ]);
  return { temporalAddress, databaseUrl };
}

function named(...variables: readonly string[]): string | undefined {
  return variables.map((name) => process.env[name]).find((value) => value !== undefined && value);
}

async function startEphemeralTemporal(): Promise<string> {
  const { address, stop } = await startTemporal({ ephemeral: true });
  stops.push(stop);
  return address;
}

async function startEphemeralPostgres(): Promise<string> {
  const { url, stop } = await startPostgres({ ephemeral: true });
  stops.push(stop);
  return url;
}

/** Jest's own hook, where this runs under Jest: without it the servers would keep the test process alive. */
const { afterAll } = globalThis as { afterAll?: (hook: () => Promise<void>) => void };
try {
  afterAll?.(stopTestServers);
} catch {
  // Loaded inside of a test, where no hook may be declared: stopTestServers is for that.
}
