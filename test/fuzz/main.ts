// `npm run fuzz`: generated odd input against the product; prints what was done, and what must never have been.
import { randomInt } from 'node:crypto';
import { type FuzzReport, type KindName, kinds } from './kinds.ts';
import { type FuzzCommand, parseOptions, USAGE, UsageError } from './options.ts';

async function main(): Promise<number> {
  const command = parseOptions(process.argv.slice(2), () => randomInt(2 ** 31 - 1));
  if (command.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  let isClean = true;
  for (const name of command.kinds) {
    const report = await runKind(name, command);
    if (Object.values(report.violations).some((count) => count > 0)) isClean = false;
  }
  return isClean ? 0 : 1;
}

async function runKind(name: KindName, command: FuzzCommand): Promise<FuzzReport> {
  const { what, run } = kinds[name];
  const { seed, cases = kinds[name].cases } = command;
  process.stdout.write(`${name}: ${what}\n  seed ${seed}, ${cases} cases\n`);
  const startedAtMs = performance.now();
  const onProgress = (done: number): void => void process.stderr.write(`  ${done} of ${cases}\n`);
  const report = await run({ seed, cases, onProgress });
  const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
  process.stdout.write(`${toTable(report)}\n  ${seconds} s\n`);
  return report;
}

function toTable({ counts, violations, examples }: FuzzReport): string {
  const rows = (of: Readonly<Record<string, number>>): string[] =>
    Object.entries(of).map(([name, count]) => `  ${String(count).padStart(9)}  ${name}`);
  return [...rows(counts), '  must all be 0:', ...rows(violations), ...examples].join('\n');
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${USAGE}\n`);
  process.exitCode = 2;
}
