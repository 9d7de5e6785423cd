// `npm run bench -- QUESTION`: one benchmark a question; prints what it measured and on what.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { errorText } from '../devstack/servers/server-error.ts';
import { type Asked, type Questions, readArguments, usage, UsageError } from './arguments.ts';
import { historyQuestion } from './history.ts';
import { longQuestion } from './long/question.ts';
import { memoryQuestion } from './memory/question.ts';
import { overheadQuestion } from './overhead/question.ts';
import type { Answer } from './question.ts';
import { recoveryQuestion } from './recovery/question.ts';
import { replayQuestion } from './replay.ts';
import { safetyQuestion } from './safety/question.ts';

const questions: Questions = {
  history: historyQuestion,
  recovery: recoveryQuestion,
  overhead: overheadQuestion,
  long: longQuestion,
  memory: memoryQuestion,
  replay: replayQuestion,
  safety: safetyQuestion,
};

function describeMachine(): Readonly<Record<string, string | number>> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    node: process.version,
  };
}

async function main(): Promise<number> {
  const asked = readArguments(questions, process.argv.slice(2));
  if (!asked) {
    process.stdout.write(`${usage(questions)}\n`);
    return 0;
  }
  const startedAt = new Date().toISOString();
  const loadBefore = loadavg()[0] ?? 0;
  const answer = await asked.question.ask(asked.counts);
  const machine = { ...describeMachine(), loadBefore, loadAfter: loadavg()[0] ?? 0 };
  const head = { question: asked.name, startedAt, machine, options: asked.counts };
  say(asked, answer, { ...head, ...answer.report }, describeLoad(machine));
  return answer.isRight ? 0 : 1;
}

function describeLoad(machine: {
  readonly loadBefore: number;
  readonly loadAfter: number;
}): string {
  const { cpu, cores, node } = describeMachine();
  const load = `load ${machine.loadBefore.toFixed(1)} before, ${machine.loadAfter.toFixed(1)} after`;
  return `${cpu}, ${cores} cores, ${load}, Node ${node}`;
}

function say({ isJson, outFile, svgFile }: Asked, answer: Answer, json: object, on: string): void {
  if (outFile !== undefined) writeFileSync(outFile, `${JSON.stringify(json, null, 2)}\n`);
  if (svgFile !== undefined) writeFileSync(svgFile, answer.svg ?? '');
  process.stdout.write(isJson ? `${JSON.stringify(json)}\n` : `${on}\n${answer.text}\n`);
}

function explain(error: unknown): number {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`${errorText(error)}${isUsage ? `\n\n${usage(questions)}` : ''}\n`);
  return isUsage ? 2 : 1;
}

// The ephemeral servers live as long as this process: it ends itself.
process.exit(await main().catch(explain));
