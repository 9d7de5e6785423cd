// Names of statements: under the hash of its text PostgreSQL keeps a plan, as long as the connection lives.
import { createHash } from 'node:crypto';
import type pg from 'pg';

/** The names of one pool's statements. */
export interface StatementNames {
  /** Undefined: names are off, and the statement goes without one. */
  nameFor(client: pg.PoolClient, text: string): Promise<string | undefined>;
  /** True: only the name was refused, and nothing was executed. Names are off from then on. */
  isRefused(error: unknown): boolean;
}

export interface StatementNamesOptions {
  /** Called once, when names are switched off. @default nothing happens */
  readonly warn?: ((message: string) => void) | undefined;
}

/** All texts of Pawl are a few dozen: one that is put together anew each time must not fill the server's memory. */
const NAMES_MAX = 200;

export function createStatementNames({ warn }: StatementNamesOptions = {}): StatementNames {
  const names = new Map<string, string>();
  let isOff = false;
  return {
    async nameFor(client, text) {
      if (isOff) return undefined;
      const name = names.get(text) ?? hashOf(text);
      if (!names.has(text) && names.size >= NAMES_MAX) return undefined;
      names.set(text, name);
      if (isDue(client)) await client.query('discard plans');
      return name;
    },
    isRefused(error) {
      const refusal = refusalIn(error);
      if (refusal && !isOff) warn?.(warning(refusal));
      isOff ||= refusal !== undefined;
      return refusal !== undefined;
    },
  };
}

/** Of two texts with one name one would run in the place of the other: 128 bits of the hash. */
function hashOf(text: string): string {
  return `pawl_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

interface Age {
  asked: number;
  readonly refreshAt: number;
  readonly refreshAtMs: number;
}

/** A plan is made for tables as large as they were: anew when twice as much was asked, and every minute. */
const FIRST_REFRESH = 64;
const REFRESH_EVERY_MS = 60_000;

const ages = new WeakMap<pg.PoolClient, Age>();

function isDue(client: pg.PoolClient): boolean {
  const nowMs = performance.now();
  const age = ages.get(client);
  const asked = (age?.asked ?? 0) + 1;
  const isOld = age !== undefined && (asked >= age.refreshAt || nowMs >= age.refreshAtMs);
  if (age && !isOld) age.asked = asked;
  else {
    const refreshAt = Math.max(FIRST_REFRESH, 2 * asked);
    ages.set(client, { asked, refreshAt, refreshAtMs: nowMs + REFRESH_EVERY_MS });
  }
  return isOld;
}

/** No such statement, there is one already (a pooler gave us another connection), its columns have other types now. */
const REFUSALS = new Set(['26000', '42P05', '0A000']);

function refusalIn(error: unknown): Error | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return REFUSALS.has(String(error.code)) ? error : undefined;
}

function warning({ message }: Error): string {
  return (
    `PostgreSQL keeps no named statements for us (${message}): every statement is planned anew from now on, which costs ` +
    'it about three times the CPU. A PgBouncer in transaction mode keeps them from version 1.21, with max_prepared_statements.'
  );
}
