// Loads what only a replay needs, with an error that says what to install.
import { PawlError } from '../errors.ts';

/** Throws PawlError `Package.Missing`. */
export async function loadPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new PawlError('Package.Missing', `Replaying needs ${name}: npm install ${name}`);
  }
}

/** Temporal's worker without its own log: the lines of a replay are the report. */
export async function loadQuietWorker(): Promise<typeof import('@temporalio/worker')> {
  const worker = await loadPackage('@temporalio/worker', () => import('@temporalio/worker'));
  const { DefaultLogger, makeTelemetryFilterString, Runtime } = worker;
  const filter = makeTelemetryFilterString({ core: 'ERROR' });
  try {
    Runtime.install({
      logger: new DefaultLogger('ERROR', () => undefined),
      telemetryOptions: { logging: { filter } },
    });
  } catch {
    // Installed before, by an earlier replay or a worker of this process.
  }
  return worker;
}
