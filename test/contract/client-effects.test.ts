// Effects, doubts, settlements and `why` through the client, read from real rows.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { foldNotices } from '../../activities/ledger/notices.ts';
import { readEffect } from '../../activities/ledger/append-facts.ts';
import { openDatabase } from '../../activities/ledger/database.ts';
import { PawlClient } from '../../client/index.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertApproval,
  insertEffect,
  insertFacts,
  insertRequest,
  insertRun,
  insertTurn,
  insertWorker,
} from './client-fixtures.ts';

let database: ClientDatabase;
let client: PawlClient;

beforeAll(async () => {
  database = await createClientDatabase();
  client = await PawlClient.connect({
    databaseUrl: database.url,
    temporalAddress: '127.0.0.1:1',
    requester: 'olga',
  });
});
afterAll(async () => {
  await client.close();
  await database.drop();
});

const doubt = async (more = {}) =>
  insertEffect(database, await insertRun(database), { status: 'in_doubt', sends: 1, ...more });
const settlementsOf = (effect: { id: string }) =>
  database.query('select * from pawl.settlements where effect_id = $1', [effect.id]);

describe('settling', () => {
  it('a doubt → a row with the evidence; the effect itself is untouched', async () => {
    const effect = await doubt();
    const answer = await client.settle(effect.effect, {
      outcome: 'applied',
      output: { paymentId: 'p_1' },
      evidence: 'receipt 8812',
    });
    expect(answer.settlement).toMatchObject({
      outcome: 'applied',
      settledBy: 'olga',
      isTakenUp: false,
    });
    expect(answer.wake).toMatchObject({ reason: 'temporal-unreachable' });
    expect(await settlementsOf(effect)).toMatchObject([
      {
        outcome: 'applied',
        evidence: 'receipt 8812',
        settled_by: 'olga',
        output: { paymentId: 'p_1' },
      },
    ]);
    const [row] = await database.query('select status from pawl.effects where id = $1', [
      effect.id,
    ]);
    expect(row).toEqual({ status: 'in_doubt' });
  });

  it('the engine takes it up → applied with this output, and taken up', async () => {
    const effect = await doubt();
    await client.settle(effect.effect, {
      outcome: 'applied',
      output: { paymentId: 'p_2' },
      evidence: 'r',
    });
    const ledger = openDatabase({ url: database.url });
    try {
      await ledger.transaction(async (tx) => {
        const record = await readEffect(tx, 'default', effect.id, 'for update');
        if (record) await foldNotices(tx, record);
      });
    } finally {
      await ledger.close();
    }
    const why = await client.why(effect.effect);
    expect(why.effect).toMatchObject({ status: 'applied', output: { paymentId: 'p_2' } });
    expect(why.settlements).toMatchObject([{ isTakenUp: true }]);
    await expect(client.doubts()).resolves.not.toContainEqual(
      expect.objectContaining({ effect: effect.effect }),
    );
  });

  it('the same again → one row, woken again; the opposite → Effect.SettlementPending', async () => {
    const effect = await doubt();
    const first = await client.settle(effect.effect, {
      outcome: 'not_applied',
      evidence: 'ticket 1',
    });
    const second = await client.settle(effect.effect, {
      outcome: 'not_applied',
      evidence: 'ticket 2',
    });
    expect(second.settlement.id).toBe(first.settlement.id);
    await expect(
      client.settle(effect.effect, { outcome: 'applied', evidence: 'x', by: 'anna' }),
    ).rejects.toMatchObject({
      code: 'Effect.SettlementPending',
      message: expect.stringContaining('already settled as not_applied by olga'),
    });
    expect(await settlementsOf(effect)).toHaveLength(1);
  });

  it('two people at once, opposite → one row', async () => {
    const effect = await doubt();
    const answers = await Promise.allSettled([
      client.settle(effect.effect, { outcome: 'applied', evidence: 'a' }),
      client.settle(effect.effect, { outcome: 'not_applied', evidence: 'b' }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await settlementsOf(effect)).toHaveLength(1);
  });

  it('a conflict → may be settled, although it is applied', async () => {
    const effect = await doubt({ status: 'applied', hasConflict: true });
    await client.settle(effect.effect, { outcome: 'applied', evidence: 'bank statement' });
    expect(await settlementsOf(effect)).toHaveLength(1);
  });

  it('nobody waits for it → the row stands, no waiter', async () => {
    const effect = await doubt({ workflowId: null });
    const { wake } = await client.settle(effect.effect, { outcome: 'applied', evidence: 'x' });
    expect(wake).toMatchObject({ kind: 'not-delivered', reason: 'no-waiter' });
  });

  it.each(['intended', 'dispatched', 'applied'])('%s → Effect.NotInDoubt', async (status) => {
    const effect = await doubt({ status, sends: 0 });
    await expect(
      client.settle(effect.effect, { outcome: 'applied', evidence: 'x' }),
    ).rejects.toMatchObject({
      code: 'Effect.NotInDoubt',
      message: expect.stringContaining(`${effect.effect} is ${status}, not in doubt`),
    });
    expect(await settlementsOf(effect)).toEqual([]);
  });

  it('no evidence, or an output of nothing → Argument.Invalid', async () => {
    const effect = await doubt();
    await expect(
      client.settle(effect.effect, { outcome: 'applied', evidence: ' ' }),
    ).rejects.toMatchObject({
      code: 'Argument.Invalid',
      message: expect.stringContaining('evidence'),
    });
    await expect(
      client.settle(effect.effect, { outcome: 'not_applied', evidence: 'x', output: 1 }),
    ).rejects.toMatchObject({
      code: 'Argument.Invalid',
      message: expect.stringContaining('not applied has none'),
    });
  });
});

describe('reading', () => {
  it('doubts → in doubt and in conflict, nothing else', async () => {
    const [open, torn] = [await doubt(), await doubt({ status: 'applied', hasConflict: true })];
    const fine = await doubt({ status: 'applied' });
    const found = (await client.doubts()).map(({ effect }) => effect);
    expect(found).toEqual(expect.arrayContaining([open.effect, torn.effect]));
    expect(found).not.toContain(fine.effect);
  });

  it('effects by run and status → only those', async () => {
    const runKey = await insertRun(database);
    await insertEffect(database, runKey, { call: '0', status: 'applied' });
    const open = await insertEffect(database, runKey, { call: '1' });
    await expect(client.effects({ run: runKey, status: 'intended' })).resolves.toMatchObject([
      { effect: open.effect, isOnWire: false },
    ]);
  });

  it('why → the whole story, secrets redacted', async () => {
    const runKey = await insertRun(database);
    const effect = await insertEffect(database, runKey, {
      status: 'applied',
      identityHash: 'same',
    });
    const again = await insertEffect(database, runKey, { turn: 2, identityHash: 'same' });
    await database.query('update pawl.effects set same_as = $1 where id = $2', [
      effect.id,
      again.id,
    ]);
    await insertTurn(database, runKey, 1, 'I pay it now.');
    await insertRequest(database, effect);
    await insertFacts(database, effect, [
      ['intended', 'engine', {}],
      ['applied', 'response', { output: { paymentId: 'p_1' } }],
    ]);
    const approval = await insertApproval(database, runKey, effect);
    const why = await client.why(effect.effect);
    expect(why).toMatchObject({
      run: { runKey, requester: 'dev' },
      modelText: 'I pay it now.',
      turn: { modelServed: 'claude-sonnet-4-5-20250929', requestId: 'req_011' },
      call: { verdict: 'approve', rule: 'over-limit', policyHash: expect.stringMatching(/^f00d/) },
      approvals: [{ id: approval }],
      facts: [{ kind: 'intended' }, { kind: 'applied', source: 'response' }],
      request: { method: 'POST', body: '{"invoice":"INV-7","cents":2000}', bodyEncoding: 'utf8' },
      siblings: [{ effect: again.effect }],
    });
    expect(why.request?.headers).toEqual([
      ['content-type', 'application/json'],
      ['idempotency-key', '0d9f7a51-7c1e-8a44-9b1f-2c3d4e5f6071'],
      ['authorization', '[redacted]'],
    ]);
    expect((await client.why(again.effect)).sameAs?.effect).toBe(effect.effect);
  });

  it('tools → what workers offer; two workers of one build are one description', async () => {
    await insertWorker(database, { identity: 'a' });
    await insertWorker(database, {
      identity: 'b',
      seen: "clock_timestamp() - interval '5 minutes'",
    });
    await expect(client.tools()).resolves.toMatchObject([
      {
        agent: 'payouts',
        isLive: true,
        workers: ['a', 'b'],
        tools: [{ contract: 'read' }, {}, {}],
      },
    ]);
  });
});
