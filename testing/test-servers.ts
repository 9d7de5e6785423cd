// The servers of a test run: those that the environment names, else ephemeral ones that end with this process.
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

/**
 * `PAWL_TEST_TEMPORAL_ADDRESS`, else `TEMPORAL_ADDRESS`, else an ephemeral Temporal; `PAWL_TEST_DATABASE_URL`, else the
 * server of `DATABASE_URL` (its databases are left alone), else an ephemeral PostgreSQL. Looked for once per process.
 */
export function findTestServers(): Promise<TestServers> {
  found ??= lookForServers();
  return found;
}

async function lookForServers(): Promise<TestServers> {
  const [temporalAddress, databaseUrl] = await Promise.all([
    named(TEST_TEMPORAL_ADDRESS, 'TEMPORAL_ADDRESS') ?? startEphemeralTemporal(),
    named(TEST_DATABASE_URL, 'DATABASE_URL') ?? startEphemeralPostgres(),
  ]);
  // createTestDatabase reads it from there.
  process.env[TEST_DATABASE_URL] = databaseUrl;
  return { temporalAddress, databaseUrl };
}

function named(...variables: readonly string[]): string | undefined {
  return variables.map((name) => process.env[name]).find((value) => value !== undefined && value);
}

async function startEphemeralTemporal(): Promise<string> {
  const { address } = await startTemporal({ ephemeral: true });
  return address;
}

async function startEphemeralPostgres(): Promise<string> {
  const { url } = await startPostgres({ ephemeral: true });
  return url;
}
