// `npm run bench -- history`: is history linear? Events and bytes of every turn of one long run, and what breaks the limits.
import { withCleanUps } from '../testing/clean-ups.ts';
import { type TestRun, withTestRun } from '../testing/index.ts';
import { connectClient } from './connect.ts';
import { BYTES_MAX, EVENTS_MAX, type TurnSize, turnSizes, violations } from './history-growth.ts';
import { MODEL_ACTIVITIES } from './overhead/contenders.ts';
import { createSteps } from './overhead/steps.ts';
import { createShippedActivities, type ShippedActivities } from './overhead/worker-activities.ts';
import { modelOfJobs, payingAgent } from './paying-agent.ts';
import { plotSvg } from './plot-svg.ts';
import { defineQuestion } from './question.ts';

export interface HistoryReport {
  readonly turns: number;
  readonly seconds: number;
  /** Every turn on Pawl. */
  readonly sizes: readonly TurnSize[];
  /** The same workload as a plain workflow that keeps its transcript in history. */
  readonly withTranscript: readonly TurnSize[];
  /** Of Pawl only. */
  readonly violations: readonly string[];
}

/** A history may have 50 MB: with the transcript in it that is about 300 turns. */
const WITH_TRANSCRIPT_MAX = 150;

/** Runs one agent for `turns` turns on real servers and measures its history, and that of a plain workflow beside it. */
export function measureHistory(turns: number): Promise<HistoryReport> {
  let plain: ShippedActivities | undefined;
  const late = (): ShippedActivities => {
    if (!plain) throw new Error('The receivers are not known yet');
    return plain;
  };
  const activities: ShippedActivities = {
    askModelWith: (messages) => late().askModelWith(messages),
    transferFor: (call) => late().transferFor(call),
  };
  return withTestRun(
    {
      agents: ({ bank }) => [payingAgent(bank.url, turns)],
      model: modelOfJobs,
      workflowsPath: new URL('./history-workflows.ts', import.meta.url).pathname,
      worker: { activities: { ...activities } },
    },
    async (t) => {
      plain = createShippedActivities(
        createSteps({ providerUrl: t.model.url, bankUrl: t.bank.url }),
      );
      const startedAtMs = performance.now();
      const sizes = await measureAgent(t, turns);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      const withTranscript = await measurePlain(t, Math.min(turns, WITH_TRANSCRIPT_MAX));
      return { turns: sizes.length, seconds, sizes, withTranscript, violations: violations(sizes) };
    },
  );
}

async function measureAgent(t: TestRun, turns: number): Promise<readonly TurnSize[]> {
  const run = await t.start('payer', { turns, run: 'agent' });
  const { result } = await t.result(run.runKey, TIME_LIMIT_MS);
  if (result?.kind !== 'completed')
    throw new Error(`the run ended ${result?.kind ?? 'without a result'}`);
  return turnSizes(await t.history(run.runKey));
}

/** For a machine that is busy otherwise. */
const TIME_LIMIT_MS = 600_000;

async function measurePlain(t: TestRun, turns: number): Promise<readonly TurnSize[]> {
  const workflowId = `plain-${t.taskQueue}`;
  const options = { workflowId, taskQueue: t.taskQueue, args: [{ run: 'plain', turns }] };
  await t.temporal.workflow.execute('shippedRun', options);
  return withCleanUps(async (cleanUps) => {
    const client = await connectClient(t.temporalAddress, cleanUps);
    const history = await client.workflow.getHandle(workflowId).fetchHistory();
    return turnSizes(history, MODEL_ACTIVITIES.shipped);
  });
}

const SHOWN = [1, 5, 10, 25, 50, 75, 100];

/** The report as text. */
export function renderHistory(report: HistoryReport): string {
  const rows = report.sizes
    .filter(({ turn }) => SHOWN.includes(turn) || turn === report.turns)
    .map(({ turn, events, bytes }) => {
      const plain = report.withTranscript.find((size) => size.turn === turn);
      const cells = [turn, events, bytes, plain?.events ?? '-', plain?.bytes ?? '-'];
      const widths = [6, 8, 8, 10, 10];
      return cells.map((cell, at) => String(cell).padStart(widths[at] ?? 0)).join(' ');
    });
  const verdict =
    report.violations.length === 0
      ? `every turn within ${EVENTS_MAX} events and ${BYTES_MAX} bytes`
      : report.violations.join('\n');
  return [
    '                  Pawl   a plain workflow, transcript in history',
    '  turn   events    bytes     events      bytes',
    ...rows,
    `${report.turns} turns in ${report.seconds.toFixed(1)} s`,
    verdict,
  ].join('\n');
}

/** Kilobytes and events of each turn. */
export function drawHistory({ sizes, withTranscript }: HistoryReport): string {
  const curves = (valueOf: (size: TurnSize) => number) =>
    (
      [
        ['Pawl', sizes],
        ['a plain workflow, transcript in history', withTranscript],
      ] as const
    ).map(([name, turns]) => ({
      name,
      points: turns.map((size) => [size.turn, valueOf(size)] as const),
    }));
  return plotSvg([
    {
      title: 'History written by each turn',
      ...{ x: 'turn', y: 'KiB' },
      curves: curves(({ bytes }) => bytes / 1_024),
    },
    { title: 'Events of each turn', x: 'turn', y: 'events', curves: curves((size) => size.events) },
  ]);
}

export const historyQuestion = defineQuestion({
  says:
    'events and protobuf bytes of each turn of one run (one model call, one keyed effect, 2 KiB a result), beside a\n' +
    '  plain workflow that keeps its transcript in history;\n' +
    `  ends with 1 when a turn of Pawl needs more than ${EVENTS_MAX} events or ${BYTES_MAX / 1_024} KiB`,
  counts: { turns: { usual: 100, min: 2, says: 'turns of the run' } },
  draws: 'draws events and bytes against the turn',
  async ask({ turns }) {
    const report = await measureHistory(turns);
    return {
      report,
      text: renderHistory(report),
      svg: drawHistory(report),
      isRight: report.violations.length === 0,
    };
  },
});
