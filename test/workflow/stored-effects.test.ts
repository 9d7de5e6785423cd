// The effects of an agent's calls are sent on what their model step has stored: how often the ledger is asked, on its wire.
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { toolResults, withTestRun } from 'pawl/testing';
import { calls, clerk, DONE, pay, TASK } from './clerk.ts';

/** The statement of a look, by what it returns under this name and nothing else does. */
const LOOK = /\bas holder\b/;
const statements: string[] = [];
const PAYMENTS = 6;

beforeEach(() => {
  statements.length = 0;
  // Called with its client, below.
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  const watched = function (this: unknown, ...args: unknown[]): unknown {
    statements.push(String((args[0] as { text?: unknown }).text ?? args[0]));
    return query.apply(this, args);
  };
  jest.spyOn(pg.Client.prototype, 'query').mockImplementation(watched as never);
});
afterEach(() => {
  jest.restoreAllMocks();
});

const looks = (): number => statements.filter((text) => LOOK.test(text)).length;

describe('the effect of a call', () => {
  it('permitted by policy → no look, one receipt each', () =>
    withTestRun(
      {
        agents: (r) => [clerk(r)],
        model: (request) => {
          const done = toolResults(request).length;
          return done < PAYMENTS ? calls(pay(`s-${done}`)) : DONE;
        },
      },
      async (t) => {
        const run = await t.start('clerk', TASK);
        await run.result();
        expect(t.bank.receipts()).toHaveLength(PAYMENTS);
        expect(statements.filter((text) => text.includes('pawl.effects'))).not.toEqual([]);
        // What was stored is fresh for two seconds: a machine that stands still between the two makes a look.
        expect(looks()).toBeLessThan(PAYMENTS / 2);
      },
    ));

  it('approved by a human → looked at: the approval stands in the ledger', () =>
    withTestRun(
      { agents: (r) => [clerk(r)], model: [calls(pay('s-3', 50_000)), DONE] },
      async (t) => {
        const run = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(run.runKey);
        await t.client.approve(id, { approver: 'ada' });
        await run.result();
        expect(t.bank.receipts({ reference: 's-3' })).toHaveLength(1);
        expect(looks()).toBeGreaterThan(0);
      },
    ));
});
