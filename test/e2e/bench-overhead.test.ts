// `npm run bench -- overhead` in its smallest form: every contender runs on its own servers, and its JSON has the figures.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import type { OverheadReport } from '../../bench/overhead/report.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';

const run = promisify(execFile);
const MAIN = new URL('../../bench/main.ts', import.meta.url).pathname;
const TURNS = 2;

async function bench(options: readonly string[]): Promise<void> {
  const env = { ...process.env, NODE_OPTIONS: '' };
  await run(process.execPath, [...runtimeArguments(MAIN), MAIN, ...options], { env });
}

describe('npm run bench -- overhead', () => {
  it('two runs of few turns → exit 0, a figure for everything, one receipt for each transfer', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pawl-bench-test-'));
    try {
      const [out, svg] = [join(folder, 'out.json'), join(folder, 'out.svg')];
      const small = { turns: TURNS, runs: 2, 'run-turns': 1, rounds: 1, 'warm-up': 2 };
      const counts = Object.entries(small).flatMap(([name, count]) => [`--${name}`, `${count}`]);
      await bench(['overhead', ...counts, '--out', out, '--svg', svg]);
      const report = JSON.parse(readFileSync(out, 'utf8')) as OverheadReport;
      expect(report).toMatchObject({
        question: 'overhead',
        machine: { node: process.version, cores: expect.any(Number) },
        options: small,
        settings: { 'Temporal SDK': expect.any(String), PostgreSQL: expect.any(String) },
        violations: [],
      });
      expect(report.receipts.found).toBe(report.receipts.asked);
      for (const figures of Object.values(report.contenders)) {
        expect(figures.alone.samples).toBe(TURNS);
        expect(figures.alone.p50Ms).toBeGreaterThan(0);
        expect(figures.turnsPerSecond.median).toBeGreaterThan(0);
      }
      const { loop, commit, bare, shipped, pawl, local } = report.contenders;
      for (const { rpcs, history } of [bare, shipped, pawl, local]) {
        expect(rpcs).toMatchObject({ RespondWorkflowTaskCompleted: expect.any(Number) });
        expect(history?.turns).toHaveLength(TURNS);
      }
      // Two messages a turn, and the answer that ends the run.
      for (const { database } of [commit, bare]) {
        expect(database?.durable).toBe((2 * TURNS + 1) / TURNS);
      }
      expect(pawl.database?.statements).toBeGreaterThan(0);
      expect([loop.rpcs, loop.history, loop.database, shipped.database]).toEqual([
        ...[null, null, null, null],
      ]);
      expect(report.ratios.map(({ aim }) => aim)).toContain('at most 1.15');
      expect(readFileSync(svg, 'utf8')).toContain('</svg>');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 300_000);
});
