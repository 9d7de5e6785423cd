// A long transcript through the client and the CLI: read in pages, printed as it is read.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from '../../client/cli/program.ts';
import { PawlClient, type TranscriptOptions } from '../../client/index.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import { type ClientDatabase, createClientDatabase, insertRun } from './client-fixtures.ts';

/** More than two pages. */
const ENTRIES = 250;
/** 10 MB in all. */
const TEXT_BYTES = 40_000;

let database: ClientDatabase;
let client: PawlClient;
let runKey: string;

beforeAll(async () => {
  database = await createClientDatabase();
  client = await PawlClient.connect({ databaseUrl: database.url, temporalAddress: '127.0.0.1:1' });
  runKey = await insertRun(database);
  await database.query(
    `insert into pawl.transcript (tenant, run_key, seq, turn, parent_hash, commitment, hash, role, source)
     select 'default', $1, n, n / 2, 'p', 'c', 'h', case n % 2 when 0 then 'assistant' else 'tool' end, 's'
     from generate_series(1, ${ENTRIES}) n`,
    [runKey],
  );
  await database.query(
    `insert into pawl.transcript_bodies (tenant, run_key, seq, salt, parts)
     select 'default', $1, n, '\\x00',
       json_build_array(json_build_object('kind', 'text', 'text', n || ' ' || repeat('x', ${TEXT_BYTES})))::text
     from generate_series(1, ${ENTRIES}) n`,
    [runKey],
  );
});
afterAll(async () => {
  await client.close();
  await database.drop();
});

async function seqs(options?: TranscriptOptions): Promise<readonly number[]> {
  const found: number[] = [];
  for await (const { seq } of client.transcript(runKey, options)) found.push(seq);
  return found;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

async function show(...words: readonly string[]): Promise<readonly string[]> {
  const chunks: string[] = [];
  const io = createFakeIo({ out: (text) => void chunks.push(text) });
  const servers = ['--database-url', database.url, '--temporal-address', '127.0.0.1:1'];
  await runCli(['show', runKey, ...words, ...servers], io);
  return chunks;
}

describe('a transcript of 10 MB', () => {
  it('all of it, a piece, a piece behind its end → these entries in order', async () => {
    expect(await seqs()).toEqual(range(1, ENTRIES));
    expect(await seqs({ from: 99, limit: 103 })).toEqual(range(99, 201));
    expect(await seqs({ from: ENTRIES, limit: 5 })).toEqual([ENTRIES]);
    expect(await seqs({ from: ENTRIES + 1 })).toEqual([]);
  });

  it('from 0 → an error that says where it begins', async () => {
    await expect(seqs({ from: 0 })).rejects.toMatchObject({
      code: 'Argument.Invalid',
      message: expect.stringMatching(/^from must be a whole number from 1 to /),
    });
  });

  it('`pawl show --transcript` → every message under its number, turn and role, none held back', async () => {
    const chunks = await show('--transcript');
    const heads = chunks.join('').match(/^\d+ · turn \d+ · (assistant|tool) · s$/gm) ?? [];
    expect(heads).toHaveLength(ENTRIES);
    expect(heads[2]).toBe('3 · turn 1 · tool · s');
    expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThan(2 * TEXT_BYTES);
  });

  it('`--from --limit` with `--json` → one document with this piece', async () => {
    const chunks = await show('--transcript', '--from', '3', '--limit', '2', '--json');
    const document = JSON.parse(chunks.join('')) as { run: object; transcript: { seq: number }[] };
    expect(document.run).toMatchObject({ runKey });
    expect(document.transcript.map(({ seq }) => seq)).toEqual([3, 4]);
  });
});
