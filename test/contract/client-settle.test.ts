// Settlements as an auditor sees them: who, when, with which evidence; refused without; against an outcome; said twice.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readEffect } from '../../activities/ledger/append-facts.ts';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import { foldNotices } from '../../activities/ledger/notices.ts';
import { runCli } from '../../client/cli/program.ts';
import { PawlClient } from '../../client/index.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertEffect,
  type InsertedEffect,
  insertRun,
} from './client-fixtures.ts';
import { asRole } from './support-ledger.ts';

let database: ClientDatabase;
let client: PawlClient;
let engine: Database;

beforeAll(async () => {
  database = await createClientDatabase();
  engine = openDatabase({ url: database.url });
  const databaseUrl = asRole(database.url, 'pawl_service');
  client = await PawlClient.connect({
    databaseUrl,
    temporalAddress: '127.0.0.1:1',
    requester: 'olga',
  });
});
afterAll(async () => {
  await client.close();
  await engine.close();
  await database.drop();
});

const effectOf = async (status: string): Promise<InsertedEffect> =>
  insertEffect(database, await insertRun(database), { status, sends: 1 });
const rowsOf = ({ id }: InsertedEffect) =>
  database.query('select id from pawl.settlements where effect_id = $1', [id]);

/** What the engine does at its next look. */
async function takeUp({ id }: InsertedEffect): Promise<void> {
  await engine.transaction(async (tx) => {
    const record = await readEffect(tx, 'default', id);
    if (record) await foldNotices(tx, record);
  });
}

async function pawl(...argv: readonly string[]) {
  const env = { DATABASE_URL: database.url, TEMPORAL_ADDRESS: '127.0.0.1:1' };
  const io = createFakeIo({ env });
  return { code: await runCli(argv, io), out: io.stdout(), err: io.stderr() };
}

const NO = { outcome: 'not_applied', evidence: 'ticket 4711' } as const;
const YES = { outcome: 'applied', evidence: 'receipt 8812' } as const;

describe('the audit of a settlement', () => {
  it('why → who, when and with which evidence, before and after the engine has taken it up', async () => {
    const effect = await effectOf('in_doubt');
    const { settlement } = await client.settle(effect.effect, { ...YES, by: 'ada', output: 7 });
    const at = settlement.settledAt.toISOString().replace('T', ' ');
    const before = await pawl('why', effect.effect);
    expect(before.out).toMatch(/Settlement\n +outcome +applied\n/);
    expect(before.out).toContain(`ada, ${at}`);
    expect(before.out).toMatch(/evidence +receipt 8812\n +output +7\n +taken up +not yet/);
    await takeUp(effect);
    const after = await pawl('why', effect.effect);
    expect(after.out).toMatch(/taken up +yes/);
    expect(after.out).toMatch(/applied +human .*by: ada/);
    expect(after.out).toMatch(/human .*evidence: receipt 8812/);
    const { facts } = await client.why(effect.effect);
    const data = { by: 'ada', evidence: 'receipt 8812', settlement: settlement.id };
    expect(facts).toMatchObject([{ kind: 'applied', source: 'human', data }]);
  });

  it.each([
    [['settle', '--as', 'ada'], /required option '-e, --evidence/],
    [['settle', '--as', 'ada', '--evidence', ' \n'], /evidence may not be empty/],
    [['settle', '--as', ' ', '--evidence', 'x'], /requester may not be empty/],
  ])('%j → exit 2, nothing written', async (argv, message) => {
    const effect = await effectOf('in_doubt');
    const { code, err } = await pawl(...argv, effect.effect, 'applied');
    expect([code, await rowsOf(effect)]).toEqual([2, []]);
    expect(err).toMatch(message);
  });

  it('a row that is written → cannot be changed or deleted, not even by the owner', async () => {
    const effect = await effectOf('in_doubt');
    await client.settle(effect.effect, NO);
    for (const statement of [
      "update pawl.settlements set evidence = 'x'",
      'delete from pawl.settlements',
    ]) {
      await expect(database.query(statement)).rejects.toThrow('pawl.settlements is append-only');
    }
  });
});

describe('the same settlement twice', () => {
  it.each([NO, YES])(
    '$outcome, again before and after it is taken up → one row, one fact, the first evidence',
    async (said) => {
      const effect = await effectOf('in_doubt');
      const first = await client.settle(effect.effect, said);
      expect(first.isRepetition).toBe(false);
      const again = await client.settle(effect.effect, { ...said, evidence: 'other words' });
      expect(again).toMatchObject({
        isRepetition: true,
        settlement: { id: first.settlement.id, evidence: said.evidence },
      });
      await takeUp(effect);
      const { out, code } = await pawl(
        'settle',
        effect.effect,
        said.outcome.replace('_', '-'),
        '-e',
        'once more',
      );
      expect(code).toBe(0);
      expect(out).toMatch(/^Already settled ef_\w+ .* by olga at 20.*: (ticket 4711|receipt 8812)/);
      await takeUp(effect);
      const why = await client.why(effect.effect);
      expect([why.settlements.length, why.facts.length, why.effect.hasConflict]).toEqual([
        1,
        1,
        false,
      ]);
    },
  );
});

describe('a settlement against an outcome', () => {
  it.each([
    ['applied', NO, /is applied \(since 20.*\), and you say not applied: that contradicts/],
    ['refused', YES, /is refused \(since 20.*\), and you say applied: that contradicts/],
  ] as const)('%s → Effect.OutcomeConflict, nothing written', async (status, said, message) => {
    const effect = await effectOf(status);
    const failure = { code: 'Effect.OutcomeConflict', message: expect.stringMatching(message) };
    await expect(client.settle(effect.effect, said)).rejects.toMatchObject(failure);
    expect(await rowsOf(effect)).toEqual([]);
  });

  it('settled as applied, then as not applied → Effect.OutcomeConflict', async () => {
    const effect = await effectOf('in_doubt');
    await client.settle(effect.effect, YES);
    await takeUp(effect);
    await expect(client.settle(effect.effect, NO)).rejects.toMatchObject({
      code: 'Effect.OutcomeConflict',
    });
  });

  it.each([
    ['applied', 'not-applied', 'applied'],
    ['refused', 'applied', 'applied'],
  ])(
    '%s, with --contradict as %s → a conflict in doubts; the same again changes nothing; a last word ends it',
    async (status, word, ends) => {
      const effect = await effectOf(status);
      const contradict = [
        'settle',
        effect.effect,
        word,
        '--contradict',
        '-e',
        'statement of March',
        '--as',
        'ada',
      ];
      expect(await pawl(...contradict)).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^Settled /),
      });
      await takeUp(effect);
      expect((await pawl('doubts')).out).toContain(effect.effect);
      expect((await pawl('why', effect.effect)).out).toMatch(/status +conflict\n/);
      expect((await pawl(...contradict)).out).toMatch(/^Already settled /);
      await takeUp(effect);
      expect((await client.why(effect.effect)).effect.hasConflict).toBe(true);
      await client.settle(effect.effect, {
        outcome: 'applied',
        evidence: 'the bank, in writing',
        by: 'bo',
      });
      await takeUp(effect);
      expect((await client.why(effect.effect)).effect).toMatchObject({
        status: ends,
        hasConflict: false,
      });
      expect(
        (await client.why(effect.effect)).settlements.map(({ settledBy }) => settledBy),
      ).toEqual(['ada', 'bo']);
    },
  );
});
