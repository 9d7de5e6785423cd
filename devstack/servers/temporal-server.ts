// Starts, adopts and stops the Temporal development server with Pawl's settings.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { findRecordedProcess, forgetProcess, lockDataDir, recordProcess } from '../data-dir.ts';
import type { RecordedProcess } from '../data-dir.ts';
import { findTemporal } from './find-temporal.ts';
import type { FindTemporalOptions, FoundTemporal } from './find-temporal.ts';
import type { PidLock } from './pid-lock.ts';
import { choosePort, findFreePort } from './ports.ts';
import { endProcess } from './process-identity.ts';
import { ServerError } from './server-error.ts';
import {
  adoptProcess,
  describeDeath,
  lastLogLines,
  startProcess,
  watchServer,
} from './server-process.ts';
import type { ServerDeath, ServerProcess } from './server-process.ts';
import {
  checkTemporalAddress,
  registerAttributes,
  servesNamespace,
  waitUntilServing,
} from './temporal-ready.ts';
import { TEMPORAL_DYNAMIC_CONFIG, TEMPORAL_SQLITE_PRAGMAS } from './temporal-settings.ts';
import type { DynamicConfigSetting } from './temporal-settings.ts';
import { guardServer } from './watchdog.ts';

const NAMESPACE = 'default';
const NAME = 'temporal';
const DEFAULT_PORT = 7233;
const DEFAULT_UI_PORT = 8233;
const READY_LIMIT_MS = 60_000;
const STOP_GRACE_MS = 10_000;
/** Temporal picks random ports for its inner services too: a lost race is cured by another try. */
const START_TRIES = 3;

export interface TemporalOptions extends FindTemporalOptions {
  /** Where its database and log live. Needed unless `ephemeral`. */
  readonly dataDir?: string | undefined;
  /** Default 7233 when free, else any free one. A requested port that is held is an error. */
  readonly port?: number | undefined;
  /** Default 8233 when free, else any free one. */
  readonly uiPort?: number | undefined;
  /**
   * For tests: free port, no UI, in memory unless a `dataDir` is given, and it dies with this
   * process.
   */
  readonly ephemeral?: boolean | undefined;
  /** Beside Pawl's own settings, for tests that need a limit in reach. */
  readonly dynamicConfig?: readonly DynamicConfigSetting[] | undefined;
}

export interface TemporalServer {
  readonly address: string;
  readonly uiUrl: string | undefined;
  /** Undefined when somebody else runs it (`TEMPORAL_ADDRESS`). */
  readonly pid: number | undefined;
  /** For people: `TEMPORAL_ADDRESS`, `on the PATH`, `adopted`. */
  readonly origin: string;
  /** Resolves when it ends and nobody asked for it; pending otherwise. */
  readonly died: Promise<ServerDeath>;
  /** Stops it, or leaves it alone when somebody else runs it. */
  stop(): Promise<void>;
}

interface Ports {
  readonly port: number;
  readonly uiPort: number | undefined;
}

interface Place {
  readonly home: string;
  readonly databasePath: string | undefined;
  readonly logPath: string;
  readonly markerPath: string;
  readonly isTemporary: boolean;
}

const addressOf = (port: number): string => `127.0.0.1:${port}`;
const uiUrlOf = (port: number | undefined): string | undefined =>
  port === undefined ? undefined : `http://127.0.0.1:${port}`;

function placeFor({ dataDir, ephemeral = false }: TemporalOptions): Place {
  if (dataDir === undefined && !ephemeral) {
    throw new ServerError('cannot-start', 'startTemporal needs a dataDir unless it is ephemeral.');
  }
  const home =
    dataDir === undefined ? mkdtempSync(join(tmpdir(), 'pawl-temporal-')) : resolve(dataDir, NAME);
  mkdirSync(home, { recursive: true });
  return {
    home,
    databasePath: dataDir === undefined ? undefined : join(home, 'temporal.db'),
    logPath: join(home, 'server.log'),
    markerPath: join(home, 'initialised.json'),
    isTemporary: dataDir === undefined,
  };
}

/** The command line of the development server. */
export function temporalArguments(
  { port, uiPort }: Ports,
  databasePath?: string,
  dynamicConfig: readonly DynamicConfigSetting[] = [],
): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'warn'],
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)]),
    ...(databasePath === undefined ? [] : ['--db-filename', databasePath]),
    ...(databasePath === undefined
      ? []
      : TEMPORAL_SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma])),
    ...[...TEMPORAL_DYNAMIC_CONFIG, ...dynamicConfig].flatMap(({ key, value }) => [
      '--dynamic-config-value',
      `${key}=${JSON.stringify(value)}`,
    ]),
  ];
}

async function choosePorts({ port, uiPort, ephemeral = false }: TemporalOptions): Promise<Ports> {
  if (ephemeral) return { port: port ?? (await findFreePort()), uiPort };
  const chosen = await choosePort({ what: 'Temporal', requested: port, preferred: DEFAULT_PORT });
  const ui = { what: "Temporal's UI", requested: uiPort, preferred: DEFAULT_UI_PORT };
  return { port: chosen, uiPort: await choosePort(ui) };
}

/**
 * The server creates its tables only in a new file: a file whose creation was killed would fail for
 * ever.
 */
function moveHalfInitialisedAside({ databasePath, markerPath }: Place): string | undefined {
  if (databasePath === undefined || !existsSync(databasePath) || existsSync(markerPath)) return;
  const aside = `${databasePath}.half-initialised-${Date.now()}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(databasePath + suffix)) renameSync(databasePath + suffix, aside + suffix);
  }
  return aside;
}

async function startOnce(path: string, place: Place, ports: Ports, options: TemporalOptions) {
  const env = Object.fromEntries(
    // The CLI reads TEMPORAL_* as its own flags: a stray one would change what we start.
    Object.entries(options.env ?? process.env).filter(([key]) => !key.startsWith('TEMPORAL_')),
  );
  const server = await startProcess({
    name: 'Temporal',
    command: path,
    args: temporalArguments(ports, place.databasePath, options.dynamicConfig),
    logPath: place.logPath,
    env,
  });
  if (options.dataDir !== undefined) {
    recordProcess(options.dataDir, NAME, server.identity, {
      details: {
        address: addressOf(ports.port),
        ...(ports.uiPort === undefined ? {} : { uiUrl: `${uiUrlOf(ports.uiPort)}` }),
      },
    });
  }
  return server;
}

async function waitUntilReady(server: ServerProcess, address: string): Promise<void> {
  try {
    const { hasEnded } = server;
    await waitUntilServing({ address, namespace: NAMESPACE, timeoutMs: READY_LIMIT_MS, hasEnded });
  } catch (error) {
    if (server.hasEnded()) {
      throw new ServerError('cannot-start', describeDeath(server, await server.ended));
    }
    await endProcess(server.identity);
    throw new ServerError(
      'not-serving',
      `Temporal did not serve ${address} within ${READY_LIMIT_MS / 1000} s. The end of its log ` +
        `${server.logPath}:\n${lastLogLines(server)}`,
      { cause: error },
    );
  }
  // Another server may answer on this port while ours has just failed to get it.
  if (server.hasEnded()) {
    throw new ServerError('cannot-start', describeDeath(server, await server.ended));
  }
}

const isPortRace = (error: unknown): boolean =>
  error instanceof ServerError && /address already in use/i.test(error.message);

async function startWithRetry(
  found: Extract<FoundTemporal, { kind: 'executable' }>,
  place: Place,
  options: TemporalOptions,
) {
  for (let attempt = 1; ; attempt += 1) {
    const ports = await choosePorts(options);
    const server = await startOnce(found.path, place, ports, options);
    // From the first moment: the process may be killed while it waits for the server, too.
    const dismiss = options.ephemeral === true ? guardTemporal(server, place) : () => undefined;
    try {
      await waitUntilReady(server, addressOf(ports.port));
      return { server, ports, dismiss };
    } catch (error) {
      dismiss();
      if (attempt >= START_TRIES || !isPortRace(error)) throw error;
    }
  }
}

function guardTemporal({ identity }: ServerProcess, place: Place): () => void {
  const removeDirectory = place.isTemporary ? place.home : undefined;
  return guardServer({ identity, signal: 'SIGTERM', removeDirectory });
}

interface Handle {
  readonly server: ServerProcess;
  readonly address: string;
  readonly uiUrl: string | undefined;
  readonly origin: string;
  readonly afterStop: () => void;
  /** It holds nothing worth an orderly end. */
  readonly isTemporary: boolean;
}

type StartedTemporal = Omit<Handle, 'afterStop' | 'isTemporary'>;

function toTemporalServer(handle: Handle): TemporalServer {
  const { server, address, uiUrl, origin, afterStop, isTemporary } = handle;
  const watch = watchServer(server);
  const stop = async (): Promise<void> => {
    await watch.stop(isTemporary ? 'SIGKILL' : 'SIGTERM', STOP_GRACE_MS);
    afterStop();
  };
  return { address, uiUrl, pid: server.identity.pid, origin, died: watch.died, stop };
}

function wantsOtherPorts({ details }: RecordedProcess, { port, uiPort }: TemporalOptions): boolean {
  const isOtherAddress = port !== undefined && details['address'] !== addressOf(port);
  const isOtherUi = uiPort !== undefined && details['uiUrl'] !== uiUrlOf(uiPort);
  return isOtherAddress || isOtherUi;
}

/**
 * The server of a killed start goes on serving: take it over, or end it when it does not answer or
 * fit.
 */
async function adoptOrEndOrphan(
  dataDir: string,
  place: Place,
  options: TemporalOptions,
): Promise<StartedTemporal | undefined> {
  const orphan = findRecordedProcess(dataDir, NAME);
  if (orphan === undefined) return undefined;
  const address = String(orphan.details['address']);
  const uiUrl = orphan.details['uiUrl'];
  const fits = !wantsOtherPorts(orphan, options);
  if (fits && (await servesNamespace(address, NAMESPACE, 5000))) {
    const server = adoptProcess('Temporal', orphan, place.logPath);
    const message = `adopted the Temporal server of an earlier start (process ${orphan.pid})`;
    options.onProgress?.({ server: NAME, message });
    return { server, address, uiUrl: uiUrl?.toString(), origin: 'adopted' };
  }
  options.onProgress?.({ server: NAME, message: `ending an earlier server (${orphan.pid})` });
  await endProcess(orphan, { graceMs: STOP_GRACE_MS });
  forgetProcess(dataDir, NAME);
  return undefined;
}

async function startNew(
  found: Extract<FoundTemporal, { kind: 'executable' }>,
  place: Place,
  options: TemporalOptions,
) {
  const aside = moveHalfInitialisedAside(place);
  if (aside !== undefined) {
    const message = `its database was never finished (a killed start); moved to ${aside}`;
    options.onProgress?.({ server: NAME, message });
  }
  options.onProgress?.({ server: NAME, message: `starting Temporal ${found.origin}` });
  const { server, ports, dismiss } = await startWithRetry(found, place, options);
  if (!place.isTemporary) {
    writeFileSync(place.markerPath, JSON.stringify({ v: 1, version: found.version }));
  }
  const [address, uiUrl] = [addressOf(ports.port), uiUrlOf(ports.uiPort)];
  return { handle: { server, address, uiUrl, origin: found.origin }, dismiss };
}

async function startOwn(
  found: Extract<FoundTemporal, { kind: 'executable' }>,
  options: TemporalOptions,
): Promise<TemporalServer> {
  const { dataDir } = options;
  const lock: PidLock | undefined =
    dataDir === undefined ? undefined : await lockDataDir(dataDir, 'Temporal', 'temporal.lock');
  const place = placeFor(options);
  const cleanUp = (): void => {
    if (dataDir !== undefined) forgetProcess(dataDir, NAME);
    if (place.isTemporary) rmSync(place.home, { recursive: true, force: true, maxRetries: 5 });
    lock?.release();
  };
  try {
    const orphan =
      dataDir === undefined ? undefined : await adoptOrEndOrphan(dataDir, place, options);
    const { isTemporary } = place;
    if (orphan !== undefined) {
      await registerAttributes(orphan.address, NAMESPACE);
      return toTemporalServer({ ...orphan, isTemporary, afterStop: cleanUp });
    }
    const { handle, dismiss } = await startNew(found, place, options);
    await registerAttributes(handle.address, NAMESPACE);
    const afterStop = (): void => {
      dismiss();
      cleanUp();
    };
    return toTemporalServer({ ...handle, isTemporary, afterStop });
  } catch (error) {
    cleanUp();
    throw error;
  }
}

/**
 * Finds and starts Temporal and returns when it serves the namespace `default`. Throws ServerError:
 * `not-found`, `busy-port`, `locked`, `cannot-start` or `not-serving`, each naming the thing and
 * what to do.
 */
export async function startTemporal(options: TemporalOptions): Promise<TemporalServer> {
  const found = await findTemporal(options);
  if (found.kind === 'executable') return startOwn(found, options);
  const env = options.env ?? process.env;
  await checkTemporalAddress(found.address, env['TEMPORAL_NAMESPACE'] || NAMESPACE);
  return {
    address: found.address,
    uiUrl: env['TEMPORAL_UI_URL'] || undefined,
    pid: undefined,
    origin: 'TEMPORAL_ADDRESS',
    died: new Promise(() => undefined),
    stop: async () => undefined,
  };
}
