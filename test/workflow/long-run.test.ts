// A long run in small: continue-as-new every few turns, its worker killed. The full form is `npm run bench -- long`.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chainTurns, growthOf } from '../../bench/long/chain.ts';
import { killTurns, measureLong } from '../../bench/long/measure-long.ts';
import type { TemporalServer } from '../../devstack/servers/temporal-server.ts';
import { guarantee } from '../guarantee.ts';
import { startRenewingTemporal } from '../renewing-temporal.ts';

/** About ten turns of twelve events. */
const SUGGEST_AT_EVENTS = 120;
const RESULT_BYTES = 5_000;
const TURNS = 60;
const KILLS = 2;

let server: TemporalServer;

beforeAll(async () => {
  server = await startRenewingTemporal(SUGGEST_AT_EVENTS);
});
afterAll(() => server.stop());

describe('a long run', () => {
  guarantee(
    'long-run',
    `${TURNS} turns, an execution every ten, ${KILLS} kills → one run, each transfer once, turns constant, the transcript whole`,
    async () => {
      const report = await measureLong({
        turns: TURNS,
        resultBytes: RESULT_BYTES,
        kills: KILLS,
        seed: Number(process.env['PAWL_TEST_SEED'] ?? 1),
        agent: 'long',
        temporalAddress: server.address,
      });
      expect(report.violations).toEqual([]);
      expect(report.executions).toBeGreaterThanOrEqual(4);
      expect(report.transcriptEntries).toBe(1 + 2 * TURNS + 1);
      expect(report.transcriptBytes).toBeGreaterThan(TURNS * RESULT_BYTES);
    },
    240_000,
  );

  it('the same seed → the same turns to kill at, in order and within the run', () => {
    const chosen = killTurns({ turns: 100, kills: 20, seed: 3 });
    expect(killTurns({ turns: 100, kills: 20, seed: 3 })).toEqual(chosen);
    expect([...chosen].sort((a, b) => a - b)).toEqual(chosen);
    expect(Math.min(...chosen)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...chosen)).toBeLessThan(100);
  });

  it('a turn that grows → its share; what a kill or a compaction adds does not count', () => {
    const turn = (n: number, bytes: number, isDisturbed = false) =>
      ({ turn: n, events: 12, bytes, ms: 1, isDisturbed }) as const;
    const bytes = ({ bytes: of }: { bytes: number }): number => of;
    expect(growthOf([turn(1, 900), turn(10, 1_000), turn(20, 1_050)], bytes)).toBeCloseTo(0.05);
    expect(growthOf([turn(10, 1_000), turn(20, 3_000, true)], bytes)).toBe(0);
    expect(chainTurns([{ events: [] }])).toEqual([]);
  });
});
