// Names are compared alike here and in PostgreSQL: what the database calls one name, the client does, too.
import { afterAll, beforeAll, expect } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { migrate } from '../../activities/ledger/migrate.ts';
import { INVISIBLE_RANGES, normaliseName } from '../../domain/rules/names.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  type TestDatabase,
} from '../../devstack/test-database.ts';
import { guarantee } from '../guarantee.ts';
import { sampleSeeded } from '../unit/support-properties.ts';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.url);
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await dropTestDatabase(database);
});

async function normaliseInSql(names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ form: string }>(
    `select pawl.normalise_name(x) as form from unnest($1::text[]) with ordinality as t(x, at) order by at`,
    [names],
  );
  return rows.map(({ form }) => form);
}

guarantee(
  'names-compared',
  'every letter of Unicode → SQL calls no two letters one that we tell apart',
  async () => {
    const letters = everyLetter();
    const forms = await normaliseInSql(letters);
    const apart = letters.filter((letter, at) => {
      const form = forms[at] ?? '';
      // Letters that are younger than the database's Unicode stay as they are.
      return (
        normaliseName(form) !== normaliseName(letter) ||
        (form !== normaliseName(letter) && !isYoung(letter))
      );
    });
    expect(apart).toEqual([]);
  },
);

guarantee(
  'names-compared',
  'generated names with case, width, accents, spaces and invisible letters → one form on both sides',
  async () => {
    const names = sampleSeeded(fc.string({ unit: fc.oneof(alphabet(), invisible()) }), 3_000);
    expect(await normaliseInSql(names)).toEqual(names.map(normaliseName));
  },
);

/** NUL cannot be stored, and half pairs are no letters. */
function everyLetter(): string[] {
  return Array.from({ length: 0x10ffff }, (_, at) => at + 1)
    .filter((codePoint) => codePoint < 0xd800 || codePoint > 0xdfff)
    .map((codePoint) => String.fromCodePoint(codePoint));
}

/** Of a Unicode that the oldest database (PostgreSQL 15 with ICU 72) does not know. */
function isYoung(letter: string): boolean {
  return (letter.codePointAt(0) ?? 0) >= 0x1c80;
}

function alphabet(): fc.Arbitrary<string> {
  return fc.constantFrom(...'aAlLiIßẞſıİΣσςéÉÅＡｌ́ﬁ\u00a0\u3000 \u1e9e.-@');
}

function invisible(): fc.Arbitrary<string> {
  return fc
    .constantFrom(...INVISIBLE_RANGES)
    .chain(([from, to]) => fc.integer({ min: Math.max(from, 1), max: to }))
    .map((codePoint) => String.fromCodePoint(codePoint));
}
