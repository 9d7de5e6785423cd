// What the CLI touches of its process, as a value: commands are tested with another one.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { styleText } from 'node:util';

/** How a text is emphasised: by meaning, so that one place knows the colours. */
export type Tone = 'good' | 'bad' | 'warn' | 'info' | 'dim' | 'bold';

/** Gives a text its tone; the text itself where colours are off. */
export type Paint = (tone: Tone, text: string) => string;

export interface CliIo {
  /** Writes to stdout. */
  readonly out: (text: string) => void;
  /** Writes to stdout, and waits while its reader is slow: for what may be long. */
  readonly write: (text: string) => Promise<void>;
  /** Writes to stderr. */
  readonly err: (text: string) => void;
  /** Both stdin and stdout are terminals: questions may be asked. */
  readonly isInteractive: boolean;
  /** Progress may be drawn on stderr. */
  readonly hasProgress: boolean;
  readonly paint: Paint;
  readonly paintError: Paint;
  /** The terminal's width; undefined when the output goes elsewhere: nothing is cut then. */
  readonly columns: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readStdin: () => Promise<string>;
  /** The lines of stdin as they come; on a terminal each is asked for with the prompt. */
  readonly readLines: (prompt: string) => AsyncIterable<string>;
  /** Calls back at Ctrl-C until the returned function is called. */
  readonly onInterrupt: (react: () => void) => () => void;
}

const FORMATS = {
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  info: 'cyan',
  dim: 'dim',
  bold: 'bold',
} as const;

/** Colours on or off, decided once. */
export function createPaint(hasColour: boolean): Paint {
  // `validateStream: false`: whether there are colours has been decided, for the right stream.
  return (tone, text) =>
    hasColour ? styleText(FORMATS[tone], text, { validateStream: false }) : text;
}

/** NO_COLOR (any value) turns colours off, FORCE_COLOR on, even when piped; else only a terminal has them. */
export function hasColour(isTty: boolean, env: CliIo['env']): boolean {
  if (env['NO_COLOR']) return false;
  const force = env['FORCE_COLOR'];
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return isTty && env['TERM'] !== 'dumb';
}

/** The real process. */
export function processIo(): CliIo {
  const { stdin, stdout, stderr, env } = process;
  // A reader that has seen enough (`| head`) is no error.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    out: (text) => void stdout.write(text),
    write: async (text) => {
      if (!stdout.write(text)) await once(stdout, 'drain');
    },
    err: (text) => void stderr.write(text),
    isInteractive: stdin.isTTY === true && stdout.isTTY === true && !env['CI'],
    hasProgress: stderr.isTTY === true && !env['CI'],
    paint: createPaint(hasColour(stdout.isTTY === true, env)),
    paintError: createPaint(hasColour(stderr.isTTY === true, env)),
    columns: stdout.isTTY ? stdout.columns : undefined,
    env,
    cwd: process.cwd(),
    readStdin,
    readLines,
    onInterrupt: (react) => {
      process.on('SIGINT', react);
      return () => process.off('SIGINT', react);
    },
  };
}

async function* readLines(prompt: string): AsyncIterable<string> {
  const { stdin, stdout } = process;
  const isAsking = stdin.isTTY === true && stdout.isTTY === true;
  const lines = createInterface({
    input: stdin,
    ...(isAsking ? { output: stdout, prompt, historySize: 1_000 } : {}),
  });
  // Ctrl-C reaches the process as it does without a prompt.
  lines.on('SIGINT', () => process.emit('SIGINT'));
  process.once('SIGINT', () => lines.close());
  if (isAsking) lines.prompt();
  for await (const line of lines) {
    yield line;
    if (isAsking) lines.prompt();
  }
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
