// How the demonstration speaks: one line per event with the seconds since its start; colours only on a terminal.
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export interface Lines {
  /** Something happened. */
  say(text: string, style?: Style): void;
  /** A block of text as it is. */
  print(text: string): void;
}

/** Lines on standard output. */
export function createLines(startedAtMs: number = Date.now()): Lines {
  const isColoured = process.stdout.isTTY && !process.env['NO_COLOR'];
  const paint = (style: Style | undefined, text: string): string =>
    isColoured && style ? styleText(style, text) : text;
  return {
    say(text, style) {
      const seconds = ((Date.now() - startedAtMs) / 1_000).toFixed(1).padStart(5);
      process.stdout.write(`${paint('dim', `${seconds}s`)}  ${paint(style, text)}\n`);
    },
    print(text) {
      process.stdout.write(`${text}\n`);
    },
  };
}
