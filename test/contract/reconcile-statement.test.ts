// A receiver's statement against a real ledger: 10,000 clean effects, each kind of finding once, edges and mistakes.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PawlClient, type ReconcileOptions, type StatementLine } from '../../client/index.ts';
import { guarantee } from '../guarantee.ts';
import { type ClientDatabase, createClientDatabase } from './client-fixtures.ts';
import { asRole } from './support-ledger.ts';

let database: ClientDatabase;
let client: PawlClient;

beforeAll(async () => {
  database = await createClientDatabase();
  const databaseUrl = asRole(database.url, 'pawl_service');
  client = await PawlClient.connect({ databaseUrl, temporalAddress: '127.0.0.1:1' });
});
afterAll(async () => {
  await client.close();
  await database.drop();
});

const START = new Date('2026-03-01T00:00:00Z');
const MONTH = { from: START, to: new Date('2026-04-01T00:00:00Z') };

interface BulkRows {
  readonly tool: string;
  readonly count: number;
  /** SQL of a row's own values; `i` counts from 1. */
  readonly status?: string;
  readonly more?: string;
}

/** Rows as the engine leaves them, by the thousand: one every four minutes from an hour after the start on. */
async function insertMany({ tool, count, status = 'applied', more = '' }: BulkRows): Promise<void> {
  await database.query(
    `insert into pawl.effects (tenant, id, short_id, run_key, root_key, turn, call, generation, tool, contract,
       wire_key, has_probe, sends_max, fingerprint, arguments, summary, status, amount_minor, currency, sends,
       first_sent_at, created_at, updated_at, output, lease_until, same_as)
     select 'default', id, 'ef_' || md5(id), 'run_' || i, 'run_' || i, 1, '0', 0, $1, 'keyed',
       md5('key' || id)::uuid, false, 4, 'f', jsonb_build_object('reference', 'INV-' || id), 'pay ' || i, $3, i, 'EUR', 1,
       at, at, at + interval '1 second', jsonb_build_object('transferId', 'tr_' || id), null, null
     from (select i, $1 || '-' || $3 || '-' || i as id, $4::timestamptz + interval '1 hour' + i * interval '4 minutes' as at
       from generate_series(1, $2::int) i) rows`,
    [tool, count, status, START],
  );
  if (more)
    await database.query(`update pawl.effects set ${more} where tool = $1 and status = $2`, [
      tool,
      status,
    ]);
}

/** The receipts log of the bank for these effects: what `GET /receipts` gives. */
async function receiptsOf(tool: string, where = "status = 'applied' and same_as is null") {
  const rows = await database.query(
    `select wire_key as key, arguments->>'reference' as reference, output->>'transferId' as "receiptId",
       amount_minor as amount, first_sent_at + interval '300 milliseconds' as at
     from pawl.effects where tool = $1 and ${where} order by id`,
    [tool],
  );
  return rows.map((row, index) => ({
    v: 1,
    receiver: 'bank',
    kind: 'receipt',
    receiptId: String(row['receiptId']),
    effect: 'transfer',
    reference: String(row['reference']),
    amountMinor: Number(row['amount']),
    currency: 'EUR',
    details: { payee: 'Acme' },
    answer: { status: 201, body: {} },
    atMs: (row['at'] as Date).getTime(),
    requestSeq: index + 1,
    idempotencyKey: String(row['key']),
  }));
}

type BankReceipt = Awaited<ReturnType<typeof receiptsOf>>[number];

function toLine({ atMs, ...receipt }: BankReceipt): StatementLine {
  const { idempotencyKey, reference, receiptId, amountMinor, currency } = receipt;
  return { idempotencyKey, reference, receiptId, amountMinor, currency, at: new Date(atMs) };
}

function withoutKey({ idempotencyKey: _, ...line }: StatementLine): StatementLine {
  return line;
}

const compare = (
  tool: string,
  lines: readonly StatementLine[],
  more: Partial<ReconcileOptions> = {},
) => client.reconcileStatement({ statement: lines, tools: [tool], ...MONTH, ...more });

describe('10,000 clean effects', () => {
  const tool = 'bulk_pay';
  let lines: readonly StatementLine[];

  beforeAll(async () => {
    await insertMany({ tool, count: 10_000 });
    // What a ledger holds besides: nothing of it is an alarm.
    await insertMany({ tool, count: 300, status: 'refused' });
    await insertMany({
      tool,
      count: 300,
      status: 'intended',
      more: 'sends = 0, first_sent_at = null',
    });
    await insertMany({ tool, count: 300, status: 'in_doubt' });
    await insertMany({
      tool,
      count: 300,
      status: 'dispatched',
      more: "lease_until = now() + interval '1 hour'",
    });
    await insertMany({ tool: 'other_tool', count: 300 });
    const done = await receiptsOf(tool);
    // Half of those on the wire have arrived; nobody has recorded it yet.
    const arrived = await receiptsOf(tool, "status = 'dispatched' and amount_minor <= 150");
    lines = [...done, ...arrived].map(toLine);
  });

  guarantee(
    'statement-two-way',
    'and their statement, by key or by reference → they agree, no alarm',
    async () => {
      const byKey = await compare(tool, lines);
      expect(byKey).toMatchObject({
        agrees: true,
        findings: [],
        found: {},
        receipts: 10_150,
        effects: 10_150,
        amounts: 10_150,
        outside: 0,
      });
      const match = { receiptId: 'output.transferId', reference: 'arguments.reference' };
      const byReference = await compare(tool, lines.map(withoutKey), { match });
      expect(byReference).toMatchObject({ agrees: true, receipts: 10_150, effects: 10_150 });
      const backwards = await compare(tool, [...lines].reverse().map(withoutKey), {
        match: { reference: 'arguments.reference' },
      });
      expect(backwards).toMatchObject({ agrees: true, receipts: 10_150, effects: 10_150 });
    },
  );

  guarantee(
    'statement-two-way',
    'one receipt more and one receipt less → exactly these two',
    async () => {
      const stranger: StatementLine = {
        idempotencyKey: randomUUID(),
        receiptId: 'tr_stranger',
        reference: 'INV-stranger',
        amountMinor: 5,
        currency: 'EUR',
        at: new Date('2026-03-09T10:00:00Z'),
      };
      const lacks = lines.findIndex(({ receiptId }) => receiptId === `tr_${tool}-applied-5000`);
      const statement = [...lines.filter((_, at) => at !== lacks), stranger];
      const expected = {
        agrees: false,
        found: { 'unknown-to-ledger': 1, 'unknown-to-receiver': 1 },
        findings: [
          {
            kind: 'unknown-to-receiver',
            effect: { summary: 'pay 5000', status: 'applied', tool },
            receipts: [],
          },
          {
            kind: 'unknown-to-ledger',
            effect: null,
            receipts: [{ receiptId: 'tr_stranger', line: 10_150 }],
          },
        ],
      };
      expect(await compare(tool, statement)).toMatchObject(expected);
      const match = { reference: 'arguments.reference' };
      expect(await compare(tool, statement.map(withoutKey), { match })).toMatchObject(expected);
    },
  );

  it('no line at all → every applied effect is missed, the first thousand are listed', async () => {
    const report = await compare(tool, []);
    expect(report.found).toEqual({ 'unknown-to-receiver': 10_000 });
    expect(report.findings).toHaveLength(1_000);
  });
});

describe('each other kind', () => {
  const tool = 'kinds_pay';
  let receipts: readonly BankReceipt[];

  beforeAll(async () => {
    for (const status of ['applied', 'in_doubt', 'dispatched', 'refused', 'intended']) {
      await insertMany({ tool, count: 3, status });
    }
    await database.query(
      "update pawl.effects set lease_until = now() - interval '1 second' where tool = $1 and status = 'dispatched'",
      [tool],
    );
    receipts = await receiptsOf(tool, "status = 'applied'");
  });

  const one = async (status: string): Promise<StatementLine> => {
    const [receipt] = await receiptsOf(tool, `status = '${status}' and amount_minor = 2`);
    if (!receipt) throw new Error('no such row');
    return toLine(receipt);
  };

  it.each([
    [
      'in_doubt',
      'doubt-answered',
      /^pawl settle ef_\w+ applied --evidence 'statement line 4: receipt tr_kinds_pay-in_doubt-2 of 2026-\S+' --output '\{"transferId":"tr_kinds_pay-in_doubt-2"\}'$/,
    ],
    ['dispatched', 'doubt-answered', /^pawl settle ef_\w+ applied --evidence/],
    ['refused', 'refused-but-done', /^pawl settle ef_\w+ applied --contradict --evidence/],
    ['intended', 'unsent-but-done', /^pawl pause run_2$/],
  ])('%s, and the statement has its receipt → %s', async (status, kind, command) => {
    const match = { receiptId: 'output.transferId' };
    const report = await compare(tool, [...receipts.map(toLine), await one(status)], { match });
    expect(report.found).toEqual({ [kind]: 1 });
    expect(report.findings).toMatchObject([
      { kind, effect: { status, summary: 'pay 2' }, command: expect.stringMatching(command) },
    ]);
  });

  it('two receipts for one effect → duplicate', async () => {
    const again = { ...(await one('applied')), receiptId: 'tr_again' };
    const { findings } = await compare(tool, [...receipts.map(toLine), again]);
    expect(findings).toMatchObject([
      {
        kind: 'duplicate',
        effect: { summary: 'pay 2' },
        receipts: [{}, { receiptId: 'tr_again', line: 4 }],
      },
    ]);
  });

  it('another amount → amount-differs', async () => {
    const lines = receipts
      .map(toLine)
      .map((line) => (line.amountMinor === 2 ? { ...line, amountMinor: 3 } : line));
    const { findings } = await compare(tool, lines);
    expect(findings).toMatchObject([
      { kind: 'amount-differs', effect: { amountMinor: 2 }, receipts: [{ amountMinor: 3 }] },
    ]);
  });

  it('a receipt whose name is a piece of shell → the command quotes it', async () => {
    const line = { ...(await one('in_doubt')), receiptId: "x'; rm -rf / #\u001b[2J" };
    const { findings } = await compare(tool, [...receipts.map(toLine), line]);
    expect(findings[0]?.command).toContain(String.raw`receipt x'\''; rm -rf / # [2J of`);
  });
});

describe('when an effect counts as done', () => {
  const tool = 'edge_pay';
  const addFact = (ordinal: number, kind: string, source: string, at: string) =>
    database.query(
      `insert into pawl.effect_facts (tenant, effect_id, ordinal, kind, source, at)
       select tenant, id, $2, $3, $4, $5 from pawl.effects where tool = $1`,
      [tool, ordinal, kind, source, at],
    );

  it('a row that was touched after the period → its applied fact counts, by a human its last send', async () => {
    await insertMany({ tool, count: 1, more: "updated_at = '2026-05-01'" });
    await expect(compare(tool, [])).resolves.toMatchObject({ agrees: true, outside: 1 });
    await addFact(1, 'dispatched', 'engine', '2026-03-01T01:04:00Z');
    await addFact(2, 'applied', 'human', '2026-04-20T00:00:00Z');
    await expect(compare(tool, [])).resolves.toMatchObject({ found: { 'unknown-to-receiver': 1 } });
    await expect(
      compare(tool, [], { to: new Date('2026-03-01T01:06:00Z') }),
    ).resolves.toMatchObject({ outside: 1 });
  });
});

describe('mistakes', () => {
  const line: StatementLine = { idempotencyKey: 'k', at: START };
  const at = { from: undefined, to: undefined };

  it.each<[string, readonly StatementLine[], Partial<ReconcileOptions>, RegExp]>([
    [
      'a tool that nobody knows',
      [line],
      { tools: ['pay_invioce'] },
      /No effect of a tool "pay_invioce".*Tools with effects: .*kinds_pay/,
    ],
    ['no tool', [line], { tools: [] }, /Name at least one tool/],
    [
      'no times and no period',
      [{ idempotencyKey: 'k' }],
      at,
      /No line of the statement has a time/,
    ],
    ['no lines and no period', [], at, /No line of the statement has a time/],
    [
      'a period backwards',
      [line],
      { from: MONTH.to, to: MONTH.from },
      /The period ends \(2026-03-01\S+\) before it begins/,
    ],
    [
      'neither keys nor a way to match',
      [{ receiptId: 'tr' }],
      {},
      /--match receiptId=output\.NAME/,
    ],
    [
      'a path to nowhere',
      [line],
      { match: { receiptId: 'outptu.id' } },
      /"outptu\.id" names no value/,
    ],
    [
      'a time that is none',
      [{ ...line, at: new Date('soon') }],
      {},
      /Line 1 has a time that is none/,
    ],
  ])('%s → Argument.Invalid', async (_case, lines, options, message) => {
    const failure = {
      code: 'Argument.Invalid',
      exitCode: 2,
      message: expect.stringMatching(message),
    };
    await expect(compare('kinds_pay', lines, options)).rejects.toMatchObject(failure);
  });
});
