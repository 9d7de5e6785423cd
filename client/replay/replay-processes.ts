// Starts the processes that replay and hands each one history after the other.
import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PawlError } from '../errors.ts';
import type { HistoryFile } from './history-file.ts';
import type { Pin } from './pin.ts';
import type { ReplayAnswer, ReplayRequest } from './replay-process.ts';
import type { Bundle, Replayed } from './replayer.ts';

/** Histories on their way to one process: it never waits for the next one. */
const WINDOW = 4;

export interface ReplayWork {
  readonly bundle: Bundle;
  /** The next history; undefined when there is none. */
  readonly next: () => Promise<HistoryFile | undefined>;
  readonly onReplayed: (file: HistoryFile, replayed: Replayed) => void;
}

/** Replays in one process of its own until there is no next history. Throws when it dies, and PawlError `History.*`. */
export async function replayInProcess(
  { bundle, next, onReplayed }: ReplayWork,
  pin?: Pin,
): Promise<void> {
  const child = forkReplay(pin);
  const sent: HistoryFile[] = [];
  try {
    const answers = answersOf(child, sent);
    say(child, { kind: 'bundle', bundle });
    const sendNext = async (): Promise<void> => {
      const file = await next();
      if (!file) return;
      sent.push(file);
      say(child, { kind: 'history', file });
    };
    for (let at = 0; at < WINDOW; at += 1) await sendNext();
    while (sent.length > 0) {
      const answer = await answers();
      const [file] = sent;
      if (!file) break;
      onReplayed(file, toReplayed(answer));
      sent.shift();
      await sendNext();
    }
  } finally {
    child.kill('SIGKILL');
  }
}

function toReplayed(answer: ReplayAnswer): Replayed {
  if (answer.kind === 'replayed') return answer.replayed;
  if (answer.kind === 'broken') throw new Error(`The replay broke: ${answer.message}`);
  throw new PawlError(answer.code, answer.message);
}

/** Takes the answers in their order; rejects when the process has ended. */
function answersOf(child: ChildProcess, sent: readonly HistoryFile[]): () => Promise<ReplayAnswer> {
  const come: ReplayAnswer[] = [];
  let death: Error | undefined;
  let wake = (): void => undefined;
  child.on('message', (answer: ReplayAnswer) => {
    come.push(answer);
    wake();
  });
  const die = (how: string): void => {
    death ??= new Error(`A process that replays ended (${how}) at ${sent[0]?.name ?? 'its start'}`);
    wake();
  };
  child.on('exit', (code, signal) => die(signal ?? `exit code ${String(code)}`));
  child.on('error', (error) => die(error.message));
  return async () => {
    for (;;) {
      const answer = come.shift();
      if (answer) return answer;
      if (death) throw death;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

function say(child: ChildProcess, request: ReplayRequest): void {
  // Its exit is told by the answers.
  if (child.connected) child.send(request, () => undefined);
}

function forkReplay(pin: Pin | undefined): ChildProcess {
  const isSource = import.meta.url.endsWith('.ts');
  const name = isSource ? './replay-process.ts' : './replay-process.js';
  const loader = isSource ? sourceArguments() : [];
  // What a replay makes is garbage at once.
  const flags = [...loader, '--no-warnings', '--max-semi-space-size=32'];
  return fork(fileURLToPath(new URL(name, import.meta.url)), [], {
    execPath: pin?.command ?? process.execPath,
    execArgv: pin ? [...pin.arguments, process.execPath, ...flags] : flags,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

function sourceArguments(): string[] {
  const tsx = createRequire(import.meta.url).resolve('tsx');
  return ['--conditions=pawl-source', '--import', pathToFileURL(tsx).href];
}
