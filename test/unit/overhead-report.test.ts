// The figures of `npm run bench -- overhead`: how logs, counters and processes are read, and what they amount to.
import { describe, expect, it } from '@jest/globals';
import { range } from '../../bench/columns.ts';
import type { CpuMs, Sample } from '../../bench/overhead/bench.ts';
import { perContender } from '../../bench/overhead/contenders.ts';
import { parseStat } from '../../bench/overhead/cpu.ts';
import type { Measured } from '../../bench/overhead/measure-overhead.ts';
import { drawOverhead, renderOverhead } from '../../bench/overhead/render.ts';
import { toReport } from '../../bench/overhead/report.ts';
import { parseRpcs, rpcsBetween } from '../../bench/overhead/rpcs.ts';
import { compareReceipts, turnTimesMs } from '../../bench/overhead/wire-logs.ts';

const NO_RECEIPTS = { asked: 0, found: 0, missing: [], duplicated: [] };

function cpu(worker: number): CpuMs {
  return { worker, temporal: 10, postgres: 10, receivers: 5 };
}

function sample(turnMs: number, change: Partial<Sample> = {}): Sample {
  const turnTimesMs = [turnMs, turnMs];
  return { turns: 2, seconds: 1, turnTimesMs, cpuMs: cpu(20), rpcs: { Poll: 4 }, ...change };
}

function measured(change: Partial<Measured> = {}): Measured {
  const turns = [1, 2, 3].map((turn) => ({ turn, events: 12, bytes: turn * 100 }));
  const speed = { loop: 1, commit: 2, bare: 10, shipped: 62.5, pawl: 12.5, local: 9 };
  return {
    settings: { 'runs at once': 7 },
    alone: perContender((name) => [sample(speed[name]), sample(2 * speed[name])]),
    crowd: perContender((name) => [sample(speed[name], { seconds: speed[name] })]),
    memoryMb: perContender(() => ({ worker: 100, temporal: null })),
    history: perContender((name) => (name === 'loop' || name === 'commit' ? undefined : turns)),
    counted: perContender((name) =>
      name === 'pawl'
        ? {
            job: { run: 'r', turns: 10 },
            commits: { durable: 30, asynchronous: 10, all: 60, flushes: 31 },
            statements: { begin: { count: 30, ms: 1 }, commit: { count: 70, ms: 2 } },
          }
        : undefined,
    ),
    receipts: NO_RECEIPTS,
    ...change,
  };
}

describe('turnTimesMs', () => {
  const log = 'a 1 100.5\nb 1 101\na 2 110\na 2 500\na 3 125.5\n';

  it("a run's requests → from each one to the next, a repeated one counted once", () => {
    expect(turnTimesMs(log, [{ run: 'a', turns: 2 }])).toEqual([9.5, 15.5]);
  });

  it('a turn that nobody asked for → named', () => {
    expect(() => turnTimesMs(log, [{ run: 'b', turns: 1 }])).toThrow(
      "turn 1 of b is not in the provider's log",
    );
  });
});

describe('compareReceipts', () => {
  it('a transfer twice and one not at all → both named', () => {
    expect(compareReceipts(['a-1', 'a-1', 'a-2'], [{ run: 'a', turns: 3 }])).toEqual({
      asked: 3,
      found: 3,
      missing: ['a-3'],
      duplicated: ['a-1'],
    });
  });
});

describe('parseRpcs', () => {
  const line = (namespace: string, operation: string, service: string, count: number): string =>
    `service_requests{namespace="${namespace}",operation="${operation}",service_name="${service}"} ${count}`;

  it("a server's metrics → the workers' requests to its frontend, nothing of its own or of clients", () => {
    const metrics = [
      '# TYPE service_requests counter',
      line('default', 'PollActivityTaskQueue', 'frontend', 3),
      line('default', 'PollActivityTaskQueue', 'matching', 9),
      line('temporal_system', 'PollActivityTaskQueue', 'frontend', 9),
      line('default', 'StartWorkflowExecution', 'frontend', 9),
      line('default', 'RespondWorkflowTaskCompleted', 'frontend', 2),
    ].join('\n');
    const rpcs = parseRpcs(metrics, 'default');
    expect(rpcs).toEqual({ PollActivityTaskQueue: 3, RespondWorkflowTaskCompleted: 2 });
    expect(
      rpcsBetween({ PollActivityTaskQueue: 1, RespondWorkflowTaskCompleted: 2 }, rpcs),
    ).toEqual({ PollActivityTaskQueue: 2 });
  });
});

describe('parseStat', () => {
  it('a command with spaces and brackets → pid, parent and all four CPU times', () => {
    const line = '42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 100 50 20 10 20 0 5 0 12345';
    expect(parseStat(line)).toEqual({ pid: 42, parent: 7, cpuMs: 1_800 });
  });
});

describe('the report', () => {
  it('two rounds → ratios by round, beside their aims', () => {
    const { ratios } = toReport(measured());
    expect(ratios.map(({ name, rounds }) => [name, range(rounds)])).toEqual([
      ['Pawl / bare: ms a turn, one run', '1.25-1.25'],
      ['Pawl / bare: CPU a turn, one run', '1.00-1.00'],
      ['Pawl / bare: CPU a turn, 7 runs at once', '1.00-1.00'],
      ['Pawl / bare: turns per second, 7 runs at once', '0.80-0.80'],
      ['as shipped / Pawl: ms a turn, one run', '5.00-5.00'],
      ['Pawl, short tool / bare: ms a turn, one run', '0.90-0.90'],
      ['Pawl, short tool / bare: CPU a turn, one run', '1.00-1.00'],
      ['Pawl, short tool / bare: CPU a turn, 7 runs at once', '1.00-1.00'],
      ['Pawl, short tool / bare: turns per second, 7 runs at once', '1.11-1.11'],
      ['as shipped / Pawl, short tool: ms a turn, one run', '6.94-6.94'],
    ]);
    const aims = ['at most 1.15', 'at most 1.15', 'at most 1.15', 'at least 0.87', 'at least 4'];
    expect(ratios.map(({ aim }) => aim)).toEqual([...aims, ...aims]);
  });

  it('CPU → per turn by process, the receivers apart', () => {
    const { cpuAlone, rpcs } = toReport(measured()).contenders.pawl;
    expect(cpuAlone).toEqual({ worker: 10, temporal: 5, postgres: 5, engine: 20, receivers: 2.5 });
    expect(rpcs).toEqual({ Poll: 2 });
  });

  it('no /proc → no CPU, no ratio of it, and everything else', () => {
    const none = perContender(() => [sample(10, { cpuMs: null })]);
    const report = toReport(measured({ alone: none, crowd: none }));
    expect(report.contenders.pawl.cpuAlone).toBeNull();
    expect(report.ratios.map(({ name }) => name)).not.toContain('Pawl / bare: CPU a turn, one run');
    expect(report.ratios).toHaveLength(2 * 3);
    expect(renderOverhead(report)).toContain('Pawl');
  });

  it('history and PostgreSQL → per turn; null where there is none', () => {
    const { pawl, loop } = toReport(measured()).contenders;
    expect(pawl.history).toMatchObject({ eventsPerTurn: 12, bytesMiddle: 200, bytesLast: 300 });
    expect(pawl.database).toEqual({
      ...{ durable: 3, asynchronous: 1, transactions: 6, flushes: 3.1, statements: 10 },
    });
    expect([loop.history, loop.database]).toEqual([null, null]);
  });

  it('slow in everything, all receipts there once → nothing is wrong', () => {
    const slow = perContender((name) => [sample(name === 'pawl' ? 9_999 : 1)]);
    expect(toReport(measured({ alone: slow, crowd: slow })).violations).toEqual([]);
  });

  it('a missing and a repeated transfer → named', () => {
    const receipts = { asked: 2, found: 2, missing: ['pawl-1'], duplicated: ['bare-2'] };
    const report = toReport(measured({ receipts }));
    expect(report.violations).toEqual([
      '1 transfers not made: pawl-1',
      '1 transfers made more than once: bare-2',
    ]);
    expect(renderOverhead(report)).toContain('bare-2');
  });

  it('text and drawing → every contender, and a curve for each that has a history', () => {
    const report = toReport(measured());
    const text = renderOverhead(report);
    for (const name of ['a plain loop', 'one PostgreSQL commit', 'as shipped', "Pawl's settings"]) {
      expect(text).toContain(name);
    }
    const svg = drawOverhead(report);
    expect(svg.match(/class="curve curve\d"/g)).toHaveLength(2 * (4 + 4));
  });
});
