// A process for the CLI that exists only in a test: what it writes is kept, nobody presses Ctrl-C unless told to.
import { type CliIo, createPaint } from '../../client/cli/cli-io.ts';

export interface FakeIo extends CliIo {
  /** All of stdout so far. */
  stdout(): string;
  stderr(): string;
  /** Presses Ctrl-C. */
  interrupt(): void;
}

export function createFakeIo(overrides: Partial<CliIo> = {}): FakeIo {
  const out: string[] = [];
  const err: string[] = [];
  const reactions = new Set<() => void>();
  return {
    out: (text) => void out.push(text),
    write: async (text) => (overrides.out ?? ((told: string) => void out.push(told)))(text),
    err: (text) => void err.push(text),
    isInteractive: false,
    hasProgress: false,
    paint: createPaint(false),
    paintError: createPaint(false),
    columns: undefined,
    env: {},
    cwd: '/',
    readStdin: () => Promise.resolve(''),
    async *readLines() {
      yield* [];
    },
    onInterrupt: (react) => {
      reactions.add(react);
      return () => reactions.delete(react);
    },
    stdout: () => out.join(''),
    stderr: () => err.join(''),
    interrupt: () => reactions.forEach((react) => react()),
    ...overrides,
  };
}
