// Conformance cases of transactional effects: permit, rows and outcome in one transaction, or none of them.
import { expect, it } from '@jest/globals';
import { APPLIED, newClaim, REFUSED, type Suite } from './effect-ledger-fixture.ts';

/** Declares the cases. */
export function describeTransactions({ under, bench }: Suite): void {
  it('the outcome → stored with its permit, and the same permit is not given again', async () => {
    const intent = await bench().intended({ contract: 'transactional' });
    const answer = await under().ledger.transact(requestOf(intent), () =>
      Promise.resolve({ entries: [{ fact: APPLIED }], keepsRows: true }),
    );
    expect(answer).toMatchObject({ kind: 'settled', seq: 1 });
    expect(await bench().kinds(intent)).toEqual(['intended', 'dispatched', 'applied']);
    const again = await under().ledger.transact(requestOf(intent, 2), () =>
      Promise.reject(new Error('may not run')),
    );
    expect(again).toMatchObject({ kind: 'not-permitted' });
  });

  it('work that throws → nothing of it has happened, and the next attempt may', async () => {
    const intent = await bench().intended({ contract: 'transactional' });
    const thrown = under().ledger.transact(requestOf(intent), () =>
      Promise.reject(new Error('constraint')),
    );
    await expect(thrown).rejects.toMatchObject({
      name: 'ToolThrew',
      cause: { message: 'constraint' },
    });
    expect((await bench().read(intent)).state).toMatchObject({ status: 'intended', sends: 0 });
    expect(await bench().kinds(intent)).toEqual(['intended']);
    const next = await under().ledger.transact(requestOf(intent, 2), () =>
      Promise.resolve({ entries: [{ fact: APPLIED }], keepsRows: true }),
    );
    expect(next).toMatchObject({ kind: 'settled' });
  });

  it('a refusal → stored, though what was written is rolled back', async () => {
    const intent = await bench().intended({ contract: 'transactional' });
    await under().ledger.transact(requestOf(intent), () =>
      Promise.resolve({ entries: [{ fact: REFUSED }], keepsRows: false }),
    );
    expect((await bench().read(intent)).state.status).toBe('refused');
  });

  it('two at once → one runs, the other sees its outcome', async () => {
    const intent = await bench().intended({ contract: 'transactional' });
    let runs = 0;
    const work = async () => {
      runs += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return { entries: [{ fact: APPLIED }], keepsRows: true };
    };
    const answers = await Promise.all(
      [1, 2].map((order) => under().ledger.transact(requestOf(intent, order), work)),
    );
    expect(runs).toBe(1);
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['not-permitted', 'settled']);
  });

  it('a paused or cancelled run → not run', async () => {
    for (const control of ['paused', 'cancelled'] as const) {
      const intent = await bench().intended({ contract: 'transactional' });
      await under().setControl(intent.tenant, intent.runKey, { [control]: true });
      const answer = await under().ledger.transact(requestOf(intent), () =>
        Promise.reject(new Error('may not run')),
      );
      expect(answer).toEqual({ kind: control });
    }
  });
}

function requestOf(intent: { tenant: string; id: string }, order = 1) {
  return {
    tenant: intent.tenant,
    id: intent.id,
    claim: newClaim({ order, by: `attempt ${order}` }),
    callsPerRunMax: undefined,
    ignoresIdentity: false,
  };
}
