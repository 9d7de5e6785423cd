// The effect ledger in one process: the conformance suite, its transactions, and the clock that a test gives it.
import { describe, expect, it } from '@jest/globals';
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import type { TransactionEnd } from '../../activities/ledger/effect-ledger.ts';
import { ToolThrew } from '../../activities/ledger/tool-transaction.ts';
import { effectLedgerContract } from '../../testing/effect-ledger-contract.ts';
import { APPLIED, createBench, newClaim } from '../../testing/effect-ledger-fixture.ts';
import { createMemoryEffectLedger } from '../../testing/memory-effect-ledger.ts';

effectLedgerContract('in memory', () => {
  const ledger = createMemoryEffectLedger();
  return Promise.resolve({ ledger, ...ledger });
});

function createTransactions() {
  const ledger = createMemoryEffectLedger();
  const bench = createBench({ ledger, ...ledger });
  return {
    ledger,
    bench,
    intended: () => bench.intended({ contract: 'transactional' }),
    permission: ({ tenant, id }: { tenant: string; id: string }, order = 1) => ({
      tenant,
      id,
      claim: newClaim({ order, by: `attempt ${order}` }),
      callsPerRunMax: undefined,
      ignoresIdentity: false,
    }),
  };
}

const KEPT: TransactionEnd = { entries: [{ fact: APPLIED, fence: 1 }], keepsRows: true };
const INSERT = 'insert into receipts (id, cents) values ($1, $2)';

describe('a transaction of the in-memory ledger', () => {
  it('a tool that returns → rows and outcome at once, and not before', async () => {
    const { ledger, bench, intended, permission } = createTransactions();
    const intent = await intended();
    const answer = await ledger.transact(permission(intent), async (tx, record) => {
      expect(record).toMatchObject({ fence: 1, state: { status: 'dispatched' } });
      await tx.query(INSERT, ['r1', 100]);
      expect((await tx.query('select * from receipts where id = $1', ['r1'])).rows).toEqual([
        { id: 'r1', cents: 100 },
      ]);
      expect(ledger.rows('receipts')).toEqual([]);
      expect((await bench.read(intent)).state.status).toBe('intended');
      return KEPT;
    });
    expect(answer).toMatchObject({ kind: 'settled', seq: 1, record: { state: { sends: 1 } } });
    expect(ledger.rows('receipts')).toEqual([{ id: 'r1', cents: 100 }]);
    expect(await bench.kinds(intent)).toEqual(['intended', 'dispatched', 'applied']);
  });

  it.each([
    ['the tool threw', new Error('no'), ToolThrew],
    ['the connection broke', new LedgerUnavailable('reset'), LedgerUnavailable],
  ])('%s → nothing has happened, its hands are empty, others go on', async (_name, error, kind) => {
    const { ledger, bench, intended, permission } = createTransactions();
    const intent = await intended();
    let late: () => Promise<unknown> = () => Promise.resolve();
    const failing = ledger.transact(permission(intent), async (tx) => {
      late = () => tx.query(INSERT, ['r2', 1]);
      await tx.query(INSERT, ['r1', 100]);
      throw error;
    });
    await expect(failing).rejects.toBeInstanceOf(kind);
    await expect(late()).rejects.toThrow('This transaction has ended');
    expect(ledger.rows('receipts')).toEqual([]);
    expect(await bench.kinds(intent)).toEqual(['intended']);
    await expect(
      ledger.transact(permission(intent, 2), () => Promise.resolve(KEPT)),
    ).resolves.toMatchObject({ kind: 'settled' });
  });

  it('a second attempt and a pause while the first is open → wait for its end', async () => {
    const { ledger, intended, permission } = createTransactions();
    const intent = await intended();
    const order: string[] = [];
    let end: (end: TransactionEnd) => void = () => undefined;
    const first = ledger.transact(
      permission(intent),
      () => new Promise((resolve) => (end = resolve)),
    );
    const second = ledger.transact(permission(intent, 2), () => Promise.resolve(KEPT));
    const pause = ledger
      .setControl(intent.tenant, intent.runKey, { paused: true })
      .then(() => order.push('paused'));
    await new Promise(setImmediate);
    order.push('ended');
    end(KEPT);
    await expect(first).resolves.toMatchObject({ kind: 'settled' });
    await pause;
    expect(order).toEqual(['ended', 'paused']);
    expect(await second).toMatchObject({ kind: expect.stringMatching(/paused|not-permitted/) });
    expect(ledger.rows('receipts')).toEqual([]);
  });

  it('a statement that it does not know → an error that says which', async () => {
    const { ledger, intended, permission } = createTransactions();
    const asking = ledger.transact(permission(await intended()), async (tx) => {
      await tx.query('delete from receipts');
      return KEPT;
    });
    await expect(asking).rejects.toMatchObject({
      cause: { message: 'The in-memory ledger does not know this statement: delete from receipts' },
    });
  });
});

describe('what stands beside the in-memory ledger', () => {
  it('its clock → leases and the moment of the first send', async () => {
    let nowMs = 1_000;
    const ledger = createMemoryEffectLedger({ clock: { nowMs: () => nowMs } });
    const bench = createBench({ ledger, ...ledger });
    const intent = await bench.dispatched({}, { leaseMs: 500 });
    expect(await bench.read(intent)).toMatchObject({ firstSentAtMs: 1_000, leaseUntilMs: 1_500 });
    expect(await ledger.findOverdue(9)).toEqual([]);
    nowMs = 1_501;
    expect(await ledger.findOverdue(9)).toMatchObject([{ id: intent.id }]);
  });

  it.each([
    ['its key', { wireKey: true }],
    ['its own reference', { reference: 'job 7' }],
  ])('a callback by %s → a fact of the next look, once', async (_name, by) => {
    const ledger = createMemoryEffectLedger();
    const bench = createBench({ ledger, ...ledger });
    const intent = await bench.dispatched();
    await bench.append(intent, { kind: 'pending', reference: 'job 7', withinMs: 60_000 });
    const { wireKey, tenant, tool } = await bench.read(intent);
    await ledger.callBack({
      id: 'c1',
      tenant,
      tool,
      outcome: 'applied',
      output: { id: 'tr_1' },
      ...('wireKey' in by ? { wireKey } : by),
    });
    expect(ledger.waitingNotices()).toMatchObject([{ id: 'c1', effect: { id: intent.id } }]);
    expect(await bench.read(intent)).toMatchObject({
      state: { status: 'applied' },
      output: { id: 'tr_1' },
    });
    expect(ledger.waitingNotices()).toEqual([]);
    expect(await bench.kinds(intent)).toEqual(['intended', 'dispatched', 'pending', 'applied']);
  });

  it('a compensation that is applied → the identity of what it undid is free', async () => {
    const ledger = createMemoryEffectLedger();
    const bench = createBench({ ledger, ...ledger });
    const first = await bench.dispatched({ identityHash: 'h' });
    await bench.append(first, APPLIED);
    const undo = await bench.dispatched({ compensates: first.id, tool: 'pay.compensate' });
    await bench.append(undo, APPLIED);
    expect(await bench.dispatch(await bench.intended({ identityHash: 'h' }))).toMatchObject({
      kind: 'granted',
    });
  });
});
