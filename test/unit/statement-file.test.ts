// How a receiver's statement is read: formats, column names, amounts and times; every complaint names its line.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readStatementFile, type StatementFileOptions } from '../../client/cli/statement-file.ts';
import { toStatementLine, toTime } from '../../client/cli/statement-line.ts';
import { runCli } from '../../client/cli/program.ts';
import type { StatementLine } from '../../client/index.ts';
import fc from 'fast-check';
import { createFakeIo } from './cli-fake-io.ts';
import { checkAsyncProperty } from './support-properties.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-statement-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function read(
  name: string,
  content: string,
  options: Partial<StatementFileOptions> = {},
): Promise<StatementLine[]> {
  if (name !== '-') writeFileSync(join(folder, name), content);
  const io = createFakeIo({ cwd: folder, readStdin: () => Promise.resolve(content) });
  const lines: StatementLine[] = [];
  for await (const line of readStatementFile(io, name, { columns: {}, where: [], ...options })) {
    lines.push(JSON.parse(JSON.stringify(line)) as StatementLine);
  }
  return lines;
}

const CSV = 'idempotency_key,Receipt ID,Amount,currency,Booked at\nk1,tr_1,20.00,eur,2026-03-01\n';
const LINE = {
  idempotencyKey: 'k1',
  receiptId: 'tr_1',
  amountMinor: 2_000,
  currency: 'EUR',
  at: '2026-03-01T00:00:00.000Z',
};
const OBJECT =
  '{"idempotencyKey":"k1","transferId":"tr_1","amountMinor":2000,"currency":"EUR","atMs":1772323200000}';

describe('formats', () => {
  it.each([
    ['a.csv', CSV, 2],
    ['a.csv', `\ufeff${CSV.replaceAll('\n', '\r\n')}`, 2],
    ['a.csv', CSV.replace('\nk1', '\n\n"k1"'), 3],
    ['a.json', `[${OBJECT}]`, 1],
    ['a.jsonl', `\n${OBJECT}\n\n`, 2],
    ['statement', CSV, 2],
    ['statement', ` [${OBJECT}]`, 1],
    ['statement', OBJECT, 1],
    ['-', CSV, 2],
    ['-', `[${OBJECT}]`, 1],
  ])('%s %j → the line, with its number', async (name, content, line) => {
    expect(await read(name, content)).toEqual([{ line, ...LINE }]);
  });

  it('a header and nothing else, an empty array, an empty file → no lines', async () => {
    expect(await read('a.csv', 'key,at\n')).toEqual([]);
    expect(await read('a.json', '[]')).toEqual([]);
    expect(await read('a.csv', '')).toEqual([]);
  });

  it('columns of its own, only some rows → those', async () => {
    const csv = 'what;schlüssel;wann\nfee;k0;2026-03-01\ntransfer;k1;2026-03-01\n';
    const options = { delimiter: ';', columns: { key: 'schlüssel', at: 'wann' } };
    const where = [['what', 'transfer']] as const;
    expect(await read('a.csv', csv, { ...options, where })).toEqual([
      { line: 3, idempotencyKey: 'k1', at: LINE.at },
    ]);
  });
});

describe('numbers', () => {
  it.each([
    ['a.json', (ids: string) => `[${ids.replaceAll('\n', ',')}]`],
    ['a.jsonl', (ids: string) => ids],
    ['a.csv', (ids: string) => `id\n${ids.replaceAll(/[^\d\n]/g, '')}`],
  ])('%s with receipts beyond 2^53 → each with all its digits', async (name, toFile) => {
    const ids = ['9007199254740992001', '9007199254740992002'];
    const lines = await read(name, toFile(ids.map((id) => `{"id":${id}}`).join('\n')));
    expect(lines.map(({ receiptId }) => receiptId)).toEqual(ids);
  });

  it('any digits, as an id or as an amount → kept exactly, or refused with the line', async () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,24}$/);
    const property = fc.asyncProperty(digits, digits, async (id, minor) => {
      const file = `{"id":${id},"amountMinor":${minor}}`;
      const reading = read('-', file, { format: 'jsonl' });
      if (!Number.isSafeInteger(Number(minor))) {
        await expect(reading).rejects.toMatchObject({
          message: expect.stringMatching(/^Line 1: /),
        });
        return;
      }
      expect(await reading).toEqual([{ line: 1, receiptId: id, amountMinor: Number(minor) }]);
    });
    await checkAsyncProperty(property, 300);
  });

  it('an amount whose last digit a double would change → its own digits', async () => {
    const [line] = await read('a.json', '[{"amount":70368744177664.01,"currency":"EUR"}]');
    expect(line?.amountMinor).toBe(7_036_874_417_766_401);
  });
});

describe('complaints', () => {
  it.each<[string, string, Partial<StatementFileOptions>, RegExp]>([
    ['a.csv', 'key,at\nk1,2026-03-01\nk2\n', {}, /^Line 3 has another number of fields/],
    ['a.csv', 'key,at\n"k1,2026-03-01\n', {}, /^Line \d is not CSV/],
    ['a.csv', 'key,key\n', {}, /^Line 1: the column "key" is there twice/],
    ['a.csv', 'key,at\nk1,2026-03-01\n\nk2,soon\n', {}, /^Line 4: "soon" is not a time\. Write/],
    ['a.csv', 'key,amount\nk1,20.00\n', {}, /^Line 2: the amount 20\.00 has no currency/],
    [
      'a.csv',
      'key,amount,currency\nk1,20.001,EUR\n',
      {},
      /^Line 2: "20\.001" is not an amount in EUR/,
    ],
    ['a.csv', 'key,amount,currency\nk1,20,Euro\n', {}, /^Line 2: "EURO" is not a currency/],
    ['a.csv', 'key,amountMinor\nk1,20.5\n', {}, /^Line 2: "20\.5" is not a whole number of minor/],
    [
      'a.csv',
      CSV,
      { columns: { key: 'idem' } },
      /no .*column "idem"|a column "idem"\. The last one has: idem/,
    ],
    ['a.csv', CSV, { where: [['kind', 'x']] }, /a column "kind"/],
    ['a.json', '{"receipts":[]}', {}, /no array of receipts/],
    ['a.json', '[{},7]', {}, /^Item 2 is no object/],
    ['a.json', '[{]', {}, /^The statement is not JSON/],
    ['a.jsonl', `${OBJECT}\n{bad\n`, {}, /^Line 2 is not JSON/],
    [
      'a.csv',
      'key,at\nk1,2026-03-01\nk2,20261130\n',
      {},
      /^Line 3: "20261130" is not a time\. Write .* 2000 to 2099/,
    ],
    [
      'a.jsonl',
      '{"key":"k","at":1772323200000000}\n',
      {},
      /^Line 1: "1772323200000000" is not a time/,
    ],
    ['a.jsonl', '{"key":{}}\n', {}, /^Line 1: "key" is neither a text nor a number/],
  ])('%s %j %j → Argument.Invalid: %p', async (name, content, options, message) => {
    const failure = { code: 'Argument.Invalid', message: expect.stringMatching(message) };
    await expect(read(name, content, options)).rejects.toMatchObject(failure);
  });

  it.each([
    ['missing.csv', /missing\.csv: there is no such file/],
    ['missing', /missing: there is no such file/],
    ['.', /is a folder, not a statement/],
  ])('%s → Argument.Invalid that names it', async (name, message) => {
    const io = createFakeIo({ cwd: folder });
    const lines = readStatementFile(io, name, { columns: {}, where: [] });
    const failure = { code: 'Argument.Invalid', message: expect.stringMatching(message) };
    await expect(lines.next()).rejects.toMatchObject(failure);
  });
});

describe('times', () => {
  it.each([
    ['2026-03-01', '2026-03-01T00:00:00.000Z'],
    ['2026-03-01T14:30', '2026-03-01T14:30:00.000Z'],
    ['2026-03-01 14:30:15.5', '2026-03-01T14:30:15.500Z'],
    ['2026-03-01T14:30:15+02:00', '2026-03-01T12:30:15.000Z'],
    ['2026-03-01 14:30:15 +0200', '2026-03-01T12:30:15.000Z'],
    ['1772323200', '2026-03-01T00:00:00.000Z'],
    ['1772323200000', '2026-03-01T00:00:00.000Z'],
    ['946684800', '2000-01-01T00:00:00.000Z'],
    ['4102444799999', '2099-12-31T23:59:59.999Z'],
    ['20261130', undefined],
    ['1772323200000000', undefined],
    ['1772323200000000000', undefined],
    ['0', undefined],
    ['2026', undefined],
    ['9'.repeat(400), undefined],
    ['01/03/2026', undefined],
    ['2026-02-31', undefined],
    ['2026-13-01', undefined],
    ['', undefined],
  ])('%s → %s', (text, expected) => {
    expect(toTime(text)?.toISOString()).toBe(expected);
  });

  it('a line without anything known → only its number', () => {
    expect(JSON.parse(JSON.stringify(toStatementLine({ other: 1 }, 5, {})))).toEqual({ line: 5 });
  });
});

describe('the command', () => {
  it.each([
    [['reconcile', 'a.csv'], /required option '-t, --tool/],
    [['reconcile', '-t', 'pay'], /missing required argument 'statement'/],
    [['reconcile', 'a', '-t', 'pay,'], /Write a name/],
    [['reconcile', 'a', '-t', 'pay', '--from', 'soon'], /"soon" is not a time/],
    [['reconcile', 'a', '-t', 'pay', '--grace', '5'], /"5" is not a duration/],
    [
      ['reconcile', 'a', '-t', 'pay', '--match', 'id=output.x'],
      /"id" is none of receiptId, reference/,
    ],
    [['reconcile', 'a', '-t', 'pay', '--columns', 'key'], /"key" is not name=value/],
    [['reconcile', 'a', '-t', 'pay', '--limit', '0'], /whole number from 1/],
    [['reconcile', 'a', '-t', 'pay', '--delimiter', ';;'], /Write one character/],
  ])('%j → exit 2 and what is wrong', async (argv, message) => {
    const io = createFakeIo({ cwd: folder });
    expect(await runCli(argv, io)).toBe(2);
    expect(io.stderr()).toMatch(message);
  });
});
