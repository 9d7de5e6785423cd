// The host process of the test servers: starts them, says where they are, stops them when its stdin
// ends.
import { TEST_DATABASE_URL, TEST_TEMPORAL_ADDRESS } from './test-servers.ts';
import type { HostMessage } from './test-servers.ts';
import { startPostgres } from './servers/postgres-server.ts';
import { errorText } from './servers/server-error.ts';
import type { ServerProgress } from './servers/server-progress.ts';
import type { ServerDeath } from './servers/server-process.ts';
import { startTemporal } from './servers/temporal-server.ts';

/** Servers from 1.30 on have workflow pause, switched off; older ones do not know the setting. */
const PAUSES = [{ key: 'frontend.WorkflowPauseEnabled', value: true }];

interface TestServer {
  readonly variable: string;
  readonly value: string;
  readonly died: Promise<ServerDeath>;
  stop(): Promise<void>;
}

const say = (message: HostMessage): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

// A start takes a second and needs no words; what takes long (a download, a build) reports its
// seconds.
const onProgress = ({ message, elapsedSeconds }: ServerProgress): void => {
  if (elapsedSeconds === undefined) return;
  say({ kind: 'progress', message: `${message}: ${elapsedSeconds} s` });
};

/**
 * The developer's own DATABASE_URL and TEMPORAL_ADDRESS are not for tests: those drop databases.
 */
const env = { ...process.env, DATABASE_URL: undefined, TEMPORAL_ADDRESS: undefined };

async function startMissing(signal: AbortSignal): Promise<TestServer[]> {
  const starts: Promise<TestServer>[] = [];
  if (!process.env[TEST_TEMPORAL_ADDRESS]) {
    const start = startTemporal({
      ephemeral: true,
      env,
      onProgress,
      signal,
      dynamicConfig: PAUSES,
    });
    const variable = TEST_TEMPORAL_ADDRESS;
    starts.push(start.then((server) => ({ ...server, variable, value: server.address })));
  }
  if (!process.env[TEST_DATABASE_URL]) {
    const start = startPostgres({ ephemeral: true, env, onProgress });
    const variable = TEST_DATABASE_URL;
    starts.push(start.then((server) => ({ ...server, variable, value: server.url })));
  }
  const results = await Promise.allSettled(starts);
  const servers = results.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return servers;
  await stopAll(servers);
  throw failed.reason;
}

const stopAll = (servers: readonly TestServer[]) =>
  Promise.allSettled(servers.map((server) => server.stop()));

async function main(): Promise<void> {
  const stdinEnded = new Promise<void>((resolve) => process.stdin.resume().once('end', resolve));
  const abort = new AbortController();
  void stdinEnded.then(() => abort.abort());
  // A start takes a second: when the test run ends meanwhile, it is finished and undone in order.
  const servers = await startMissing(abort.signal);
  const variables = Object.fromEntries(servers.map(({ variable, value }) => [variable, value]));
  for (const { died } of servers) {
    void died.then(({ message }) => process.stderr.write(`test servers: ${message}\n`));
  }
  say({ kind: 'ready', variables });
  await stdinEnded;
  await stopAll(servers);
  process.exit(0);
}

// A reader that is gone must not end the host before it has stopped the servers.
process.stdout.on('error', () => undefined);
main().catch((error: unknown) => {
  say({ kind: 'failed', message: errorText(error) });
  process.exitCode = 1;
  process.stdin.destroy();
});
