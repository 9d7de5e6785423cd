// `npm run bench -- history`: is history linear? Events and bytes of every turn of one long run, and what breaks the limits.
import { withTestRun } from '../testing/index.ts';
import { BYTES_MAX, EVENTS_MAX, type TurnSize, turnSizes, violations } from './history-growth.ts';
import { payingAgent, payingModel } from './paying-agent.ts';
import { defineQuestion } from './question.ts';

export interface HistoryReport {
  readonly turns: number;
  readonly seconds: number;
  /** Turns 1, 5, 10, … and the last one. */
  readonly sampled: readonly TurnSize[];
  readonly violations: readonly string[];
}

/** Runs one agent for `turns` turns on real servers and measures its history. */
export function measureHistory(turns: number): Promise<HistoryReport> {
  return withTestRun(
    { agents: ({ bank }) => [payingAgent(bank.url, turns)], model: payingModel(turns) },
    async (t) => {
      const startedAtMs = performance.now();
      const run = await t.start('payer', { turns });
      const { result } = await run.result();
      if (result?.kind !== 'completed')
        throw new Error(`the run ended ${result?.kind ?? 'without a result'}`);
      const sizes = turnSizes(await t.history(run.runKey));
      return {
        turns: sizes.length,
        seconds: (performance.now() - startedAtMs) / 1_000,
        sampled: sizes.filter(({ turn }) => turn === 1 || turn % 5 === 0 || turn === sizes.length),
        violations: violations(sizes),
      };
    },
  );
}

/** The report as text. */
export function renderHistory(report: HistoryReport): string {
  const rows = report.sampled
    .filter(({ turn }) => [1, 5, 10, 25, 50, 75, 100].includes(turn) || turn === report.turns)
    .map(
      ({ turn, events, bytes }) =>
        `${String(turn).padStart(6)} ${String(events).padStart(8)} ${String(bytes).padStart(8)}`,
    );
  const verdict =
    report.violations.length === 0
      ? `every turn within ${EVENTS_MAX} events and ${BYTES_MAX} bytes`
      : report.violations.join('\n');
  return [
    '  turn   events    bytes',
    ...rows,
    `${report.turns} turns in ${report.seconds.toFixed(1)} s`,
    verdict,
  ].join('\n');
}

export const historyQuestion = defineQuestion({
  says:
    'events and protobuf bytes of each turn of one run (one model call, one keyed effect, 2 KiB a result);\n' +
    `  ends with 1 when a turn needs more than ${EVENTS_MAX} events or ${BYTES_MAX / 1_024} KiB`,
  counts: { turns: { usual: 100, min: 2, says: 'turns of the run' } },
  async ask({ turns }) {
    const report = await measureHistory(turns);
    return { report, text: renderHistory(report), isRight: report.violations.length === 0 };
  },
});
