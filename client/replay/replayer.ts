// Replays histories one after the other on one sandbox: the bundle is evaluated once, not once a history.
import { createHistoryConverter, toKeys } from '../../activities/encryption/encryption.ts';
import { countEvents, type NamedHistory } from './history-file.ts';
import { loadQuietWorker } from './load-package.ts';
import { quickenWorker } from './quick-worker.ts';

/** A workflow bundle: its code, or where that is. */
export type Bundle = { readonly code: string } | { readonly codePath: string };

/** What became of one history; an `error` is an answer. */
export interface Replayed {
  readonly name: string;
  readonly events: number;
  /** `DeterminismViolationError`: the code no longer commands what the history holds. */
  readonly error?: { readonly name: string; readonly message: string };
}

export interface Replayer {
  /** One at a time: await it before the next. */
  replay(history: NamedHistory): Promise<Replayed>;
  close(): Promise<void>;
}

/** `isQuick`: by a worker for a process that does nothing else. Throws PawlError `Package.Missing`. */
export async function createReplayer(
  workflowBundle: Bundle,
  { isQuick = false }: { readonly isQuick?: boolean } = {},
): Promise<Replayer> {
  const sdk = await loadQuietWorker();
  const Worker = isQuick ? await quickenWorker(sdk) : sdk.Worker;
  const dataConverter = readConverter(process.env['PAWL_ENCRYPTION_KEYS']);
  let asked: NamedHistory | undefined;
  let results: ReturnType<typeof Worker.runReplayHistories> | undefined;
  async function* feed(): AsyncGenerator<{ history: unknown; workflowId: string }> {
    await Promise.resolve();
    while (asked) yield { history: asked.history, workflowId: asked.name };
  }
  return {
    async replay(named) {
      asked = named;
      const { name, history } = named;
      const events = countEvents(history);
      try {
        results ??= Worker.runReplayHistories({ workflowBundle, dataConverter }, feed());
        const { value, done } = await results.next();
        if (done) throw new Error('The replay ended before the history did');
        return value.error ? { name, events, error: toPlain(value.error) } : { name, events };
      } catch (error) {
        // A history that cannot even be read ends the SDK's replay: the next one gets another.
        results = undefined;
        return { name, events, error: toPlain(error) };
      }
    },
    async close() {
      asked = undefined;
      await results?.return?.();
      results = undefined;
    },
  };
}

/** Opens encrypted histories; plain ones are read as they are. */
function readConverter(line: string | undefined): ReturnType<typeof createHistoryConverter> {
  const keys = toKeys(line || undefined);
  return keys ? createHistoryConverter({ keys, tenant: '' }) : {};
}

function toPlain(error: unknown): { name: string; message: string } {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  return { name: error.name, message: error.message };
}
