// pawl fork: a turn of an ended run decided anew; what was done from there on is kept or undone, by the bank's receipts.
import { describe, expect, it } from '@jest/globals';
import { defineTool } from 'pawl';
import { lastUserText, type Receivers, type TestRun, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, pay, TASK } from './clerk.ts';
import { type Payment, payment, transfer, undoable } from './undoable-payment.ts';

/** A payment that can be undone by one in the other direction. */
function undoablePay(receivers: Receivers, hasIdentity = true) {
  return defineTool({
    name: 'pay',
    description: 'Pays.',
    input: payment,
    output: transfer,
    effect: {
      key: { retention: '24h' },
      amount: ({ cents }: Payment) => ({ minor: cents, currency: 'EUR' }),
      ...(hasIdentity ? { identity: ({ reference }: Payment) => [reference] } : {}),
    },
    timeout: '2s',
    ...undoable(receivers),
  });
}

const options = {
  agents: (r: Receivers) => [clerk(r, { tools: [undoablePay(r)] })],
};
const receiptsOf = (t: TestRun): readonly string[] =>
  t.bank.receipts().map(({ reference }) => reference);

/** Turn 1 pays a, turn 2 pays b, turn 3 is the end. */
const SOURCE = [calls(pay('a')), calls(pay('b')), DONE];

async function ended(t: TestRun): Promise<string> {
  const { runKey, result } = await t.start('clerk', TASK);
  expect((await result()).result?.kind).toBe('completed');
  return runKey;
}

describe('fork', () => {
  guarantee(
    'fork',
    'turn 2, kept → the model is told what stands; asked for again, it is not done again',
    async () => {
      const model = [...SOURCE, calls(pay('b'), pay('c')), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const source = await ended(t);
        const forked = await t.client.fork(source, {
          at: 2,
          effects: 'keep',
          message: 'Pay c too.',
        });
        expect(forked).toMatchObject({ forkedFrom: source, at: 2, compensated: [], unguarded: [] });
        expect(forked.kept).toHaveLength(1);
        const result = await t.client.result(forked.runKey);
        expect(result.result).toMatchObject({ kind: 'completed', turns: 3 });
        expect(receiptsOf(t)).toEqual(['a', 'b', 'c']);
        const decided = t.model.requests()[3]?.neutral;
        if (!decided) throw new Error('the forked turn was never asked for');
        expect(JSON.stringify(decided.messages)).toContain('done and still standing: pay');
        expect(lastUserText(decided)).toContain('Pay c too.');
        // What was said and done before the fork is there, what was decided behind it is not.
        expect(JSON.stringify(decided.messages)).toContain('toolResult');
        expect(t.model.requests()).toHaveLength(5);
      });
    },
  );

  guarantee(
    'fork',
    'turn 1, compensated → undone in reverse before the model is asked; the same may be done anew',
    async () => {
      const model = [...SOURCE, calls(pay('b')), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const source = await ended(t);
        const forked = await t.client.fork(source, { at: 1, effects: 'compensate' });
        expect(forked.compensated).toHaveLength(2);
        await t.client.result(forked.runKey);
        expect(receiptsOf(t)).toEqual(['a', 'b', 'b-undo', 'a-undo', 'b']);
        const decided = t.model.requests()[3]?.neutral;
        expect(JSON.stringify(decided?.messages)).toContain('undone: pay');
      });
    },
  );

  it('asked, undecided → an error that lists each effect; each its own fate → done so', async () => {
    const model = [...SOURCE, DONE];
    await withTestRun({ ...options, model }, async (t) => {
      const source = await ended(t);
      await expect(t.client.fork(source, { at: 1 })).rejects.toMatchObject({
        code: 'Fork.Undecided',
        undecided: [{ tool: 'pay' }, { tool: 'pay' }],
      });
      const [a, b] = await t.client.effects({ run: source });
      const fates = { [a?.effect ?? '']: 'keep', [b?.effect ?? '']: 'compensate' } as const;
      const forked = await t.client.fork(source, { at: 1, fates, key: 'once' });
      expect(forked).toMatchObject({ kept: [a?.effect], compensated: [b?.effect] });
      await t.client.result(forked.runKey);
      expect(receiptsOf(t)).toEqual(['a', 'b', 'b-undo']);
      const again = await t.client.fork(source, { at: 1, fates, key: 'once' });
      expect(again).toMatchObject({ runKey: forked.runKey, isNew: false });
    });
  });

  it('a run that goes on, a turn that never was, a tool that cannot undo → refused, nothing begun', async () => {
    const model = [calls(pay('a')), { text: 'late', delayMs: 3_000 }];
    const agents = (r: Receivers) => [clerk(r)];
    await withTestRun({ agents, model }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      await expect(t.client.fork(runKey)).rejects.toMatchObject({ code: 'Run.NotEnded' });
      await expect(t.client.compensate(runKey)).rejects.toMatchObject({ code: 'Run.NotEnded' });
      await result();
      const late = t.client.fork(runKey, { at: 9, effects: 'keep' });
      await expect(late).rejects.toThrow('it has turns 1 to 2');
      const undo = t.client.fork(runKey, { at: 1, effects: 'compensate' });
      await expect(undo).rejects.toThrow('has no `compensate`');
      expect(receiptsOf(t)).toEqual(['a']);
    });
  });

  it('kept without identity → named as unguarded; pawl compensate undoes it afterwards', async () => {
    const agents = (r: Receivers) => [clerk(r, { tools: [undoablePay(r, false)] })];
    await withTestRun({ agents, model: [...SOURCE, DONE] }, async (t) => {
      const source = await ended(t);
      const forked = await t.client.fork(source, { at: 2, effects: 'keep' });
      expect(forked.unguarded).toEqual(forked.kept);
      await t.client.result(forked.runKey);
      const undone = await t.client.compensate(source);
      expect(undone.effects.map(({ kind }) => kind)).toEqual(['compensated', 'compensated']);
      expect(receiptsOf(t)).toEqual(['a', 'b', 'b-undo', 'a-undo']);
    });
  });
});
