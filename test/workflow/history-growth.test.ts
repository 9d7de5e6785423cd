// History stays linear: the gate on events and bytes of a turn (the long measurement is `npm run bench -- history`).
import { describe, expect } from '@jest/globals';
import { turnSizes, violations } from '../../bench/history-growth.ts';
import { payingAgent, payingModel } from '../../bench/paying-agent.ts';
import { withTestRun } from '../../testing/index.ts';
import { guarantee } from '../guarantee.ts';

const TURNS = 12;

describe('the history of a run', () => {
  guarantee(
    'history-linear',
    'twelve turns → at most 12 events and 3 KiB each, none larger than the fifth by 5 %',
    () =>
      withTestRun(
        { agents: ({ bank }) => [payingAgent(bank.url, TURNS)], model: payingModel(TURNS) },
        async (t) => {
          const run = await t.start('payer', { turns: TURNS });
          await run.result();
          const sizes = turnSizes(await t.history(run.runKey));
          expect(sizes).toHaveLength(TURNS);
          expect(violations(sizes)).toEqual([]);
          const fifth = sizes[4]?.bytes ?? 0;
          expect(fifth).toBeGreaterThan(500);
          for (const { bytes } of sizes.slice(5)) expect(bytes).toBeLessThanOrEqual(fifth * 1.05);
        },
      ),
  );
});
