// Counts and times the SQL statements of this process by their text, when it is asked to by its environment.
import { writeFileSync } from 'node:fs';
import pg from 'pg';
import { Variable } from './contenders.ts';

/** One statement: each time it is sent is a round trip to PostgreSQL. */
export interface Statement {
  readonly count: number;
  /** From the call to the answer, all of them together. */
  readonly ms: number;
}
export type Statements = Readonly<Record<string, Statement>>;

/** Writes them to BENCH_STATEMENTS_FILE when the process ends; does nothing without it. */
export function countStatements(): void {
  const file = process.env[Variable.Statements];
  if (!file) return;
  const statements: Record<string, { count: number; ms: number }> = {};
  const prototype = pg.Client.prototype as { query: (...args: unknown[]) => unknown };
  // Called with its client, below.
  const { query } = prototype;
  prototype.query = function (this: unknown, ...args) {
    const statement = (statements[textOf(args[0])] ??= { count: 0, ms: 0 });
    const startedAtMs = performance.now();
    const end = (): void => {
      statement.count += 1;
      statement.ms += performance.now() - startedAtMs;
    };
    const callback = args.at(-1);
    if (typeof callback !== 'function') return watch(query.apply(this, args), end);
    args[args.length - 1] = (...answer: unknown[]) => {
      end();
      callback(...answer);
    };
    return query.apply(this, args);
  };
  process.once('exit', () => writeFileSync(file, JSON.stringify(statements)));
}

function watch(answer: unknown, end: () => void): unknown {
  if (answer instanceof Promise) answer.then(end, end);
  return answer;
}

function textOf(query: unknown): string {
  const text = typeof query === 'string' ? query : (query as { text?: unknown } | null)?.text;
  return String(text).replace(/\s+/g, ' ').trim();
}
