// The process that replays for `replayAll`: histories come over IPC, answers go back in the same order.
import { isPawlError } from '../errors.ts';
import { decodeHistory, type HistoryFile } from './history-file.ts';
import { quickenSandbox } from './quick-sandbox.ts';
import { isKnownSdk } from './quick-worker.ts';
import { toRawHistory } from './raw-history.ts';
import { type Bundle, createReplayer, type Replayed } from './replayer.ts';

/** What the process is told: the bundle first, then histories. */
export type ReplayRequest =
  | { readonly kind: 'bundle'; readonly bundle: Bundle }
  | { readonly kind: 'history'; readonly file: HistoryFile };

/** What it answers, once a history. `unreadable`: there is nothing to replay in it. */
export type ReplayAnswer =
  | { readonly kind: 'replayed'; readonly replayed: Replayed }
  | { readonly kind: 'unreadable'; readonly code: string; readonly message: string }
  | { readonly kind: 'broken'; readonly message: string };

quickenSandbox();
// With its parent gone nobody waits for the answers.
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches every process of the terminal: the parent ends this one.
process.on('SIGINT', () => undefined);

const isQuick = isKnownSdk();
let replayer: ReturnType<typeof createReplayer> | undefined;
let last: Promise<unknown> = Promise.resolve();

process.on('message', (request: ReplayRequest) => {
  if (request.kind === 'bundle') replayer = createReplayer(request.bundle, { isQuick });
  else last = last.then(() => replay(request.file)).then((answer) => process.send?.(answer));
});

async function replay(file: HistoryFile): Promise<ReplayAnswer> {
  try {
    if (!replayer) throw new Error('no bundle has come yet');
    const { replay: run } = await replayer;
    const raw = isQuick ? toRawHistory(file) : undefined;
    const replayed = await run(raw ?? (await decodeHistory(file)));
    // Of bytes that only look like a history the error says more that decodes them here.
    if (raw && replayed.error?.message.includes('Cannot decode History')) await decodeHistory(file);
    return { kind: 'replayed', replayed };
  } catch (error) {
    if (isPawlError(error)) {
      return { kind: 'unreadable', code: error.code, message: error.message };
    }
    return { kind: 'broken', message: error instanceof Error ? error.message : String(error) };
  }
}
