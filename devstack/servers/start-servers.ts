// Starts Temporal and PostgreSQL side by side: both, or neither.
import { endOrphans, lockDataDir } from '../data-dir.ts';
import type { Environment } from './executables.ts';
import { startPostgres } from './postgres-server.ts';
import type { PostgresServer } from './postgres-server.ts';
import type { ProgressListener } from './server-progress.ts';
import type { ServerDeath } from './server-process.ts';
import { startTemporal } from './temporal-server.ts';
import type { TemporalServer } from './temporal-server.ts';

export interface StartServersOptions {
  readonly dataDir: string;
  readonly env?: Environment;
  readonly onProgress?: ProgressListener;
  /** Ends a download or a build that goes on. */
  readonly signal?: AbortSignal;
  readonly temporalPort?: number;
  readonly uiPort?: number;
  readonly postgresPort?: number;
}

export interface Servers {
  readonly temporal: TemporalServer;
  readonly postgres: PostgresServer;
  /** Resolves when one of them ends and nobody asked for it. */
  readonly died: Promise<ServerDeath>;
  /** Stops both and frees the data directory. */
  stop(): Promise<void>;
}

const stopAll = async (servers: readonly { stop(): Promise<void> }[]): Promise<void> => {
  await Promise.allSettled(servers.map((server) => server.stop()));
};

async function startBoth(options: StartServersOptions): Promise<[TemporalServer, PostgresServer]> {
  const { dataDir, env, onProgress, temporalPort, uiPort, postgresPort } = options;
  const common = { dataDir, onProgress, ...(env === undefined ? {} : { env }) };
  // A build of Temporal takes minutes: a PostgreSQL that cannot start must not wait for it to say
  // so.
  const failure = new AbortController();
  const signals = [failure.signal, ...(options.signal === undefined ? [] : [options.signal])];
  const starts = [
    startTemporal({ ...common, signal: AbortSignal.any(signals), port: temporalPort, uiPort }),
    startPostgres({ ...common, port: postgresPort }),
  ] as const;
  for (const start of starts) start.catch((error: unknown) => failure.abort(error));
  const results = await Promise.allSettled(starts);
  const [temporal, postgres] = results;
  if (temporal.status === 'fulfilled' && postgres.status === 'fulfilled') {
    return [temporal.value, postgres.value];
  }
  await stopAll(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])));
  throw failure.signal.reason;
}

/**
 * Takes the data directory, ends what a killed start left in it (the servers are adopted instead)
 * and starts both servers. Throws the first ServerError; nothing that it started runs on then.
 */
export async function startServers(options: StartServersOptions): Promise<Servers> {
  const lock = await lockDataDir(options.dataDir, 'a development stack');
  try {
    await endOrphans(options.dataDir, { except: ['temporal', 'postgres'] });
    const [temporal, postgres] = await startBoth(options);
    const stop = async (): Promise<void> => {
      await stopAll([temporal, postgres]);
      lock.release();
    };
    return { temporal, postgres, died: Promise.race([temporal.died, postgres.died]), stop };
  } catch (error) {
    lock.release();
    throw error;
  }
}
