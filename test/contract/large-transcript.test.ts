// A transcript of many entries (PAWL_TEST_LARGE=1: a hundred thousand) and answers of 50 MB: read as it is printed, by a process with little memory.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { guarantee } from '../guarantee.ts';
import { type ClientDatabase, createClientDatabase, insertRun } from './client-fixtures.ts';

const TEST_MS = 120_000;
const ENTRIES = process.env['PAWL_TEST_LARGE'] === '1' ? 100_000 : 10_000;
const ANSWER_BYTES = 50_000_000;
/** Of the heap: the answer is a text of the database, a value and a text to print at once. */
const HEAP_MB = 450;

let database: ClientDatabase;
let long: string;
let large: string;

beforeAll(async () => {
  database = await createClientDatabase();
  long = await insertRun(database, { isFinished: true });
  large = await insertRun(database, { isFinished: true });
  const fill = async (runKey: string, count: number, text: string): Promise<void> => {
    await database.query(
      `insert into pawl.transcript (tenant, run_key, seq, turn, parent_hash, commitment, hash, role, source)
       select 'default', $1, i, i, 'p', 'c', 'h', 'assistant', 'model' from generate_series(1, $2::integer) i`,
      [runKey, count],
    );
    await database.query(
      `insert into pawl.transcript_bodies (tenant, run_key, seq, salt, parts)
       select 'default', $1, i, '\\x00', jsonb_build_array(jsonb_build_object('kind', 'text', 'text', ${text}))::text
       from generate_series(1, $2::integer) i`,
      [runKey, count],
    );
  };
  await fill(long, ENTRIES, `'entry ' || i || repeat(' of many words', 20)`);
  await fill(large, 2, `repeat('a letter', ${ANSWER_BYTES / 8})`);
}, TEST_MS);
afterAll(() => database.drop());

interface Printed {
  readonly code: number | null;
  readonly bytes: number;
  readonly tookMs: number;
  readonly end: string;
}

/** What the command prints, read as slowly or quickly as it comes. */
async function show(runKey: string, ...words: string[]): Promise<Printed> {
  const file = join(import.meta.dirname, '../../client/cli/main.ts');
  const startedAtMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...[`--max-old-space-size=${HEAP_MB}`, ...runtimeArguments(file), file],
      ...['show', runKey, '--transcript', ...words],
    ],
    { env: { ...process.env, DATABASE_URL: database.url, NODE_OPTIONS: '' } },
  );
  let bytes = 0;
  let end = '';
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    end = (end + chunk.toString('utf8')).slice(-100);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const tookMs = Math.round(performance.now() - startedAtMs);
  process.stderr.write(`large transcript: ${bytes} bytes in ${tookMs} ms ${words.join(' ')}\n`);
  return { code, bytes, tookMs, end };
}

describe('pawl show --transcript', () => {
  guarantee(
    'lists-are-bounded',
    `${ENTRIES} entries → all of them, under a heap of ${HEAP_MB} MB`,
    async () => {
      const { code, bytes, end } = await show(long);
      expect(code).toBe(0);
      expect(bytes).toBeGreaterThan(ENTRIES * 280);
      expect(end).toContain('of many words');
    },
    TEST_MS,
  );

  guarantee(
    'lists-are-bounded',
    'two answers of 50 MB → printed whole, one after the other',
    async () => {
      const { code, bytes } = await show(large, '--json');
      expect(code).toBe(0);
      expect(bytes).toBeGreaterThan(2 * ANSWER_BYTES);
    },
    TEST_MS,
  );
});
