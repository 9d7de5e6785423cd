// dev, tools, doctor: the stack itself.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Argument, type Command } from 'commander';
import { AgentUnknownError, ExitCode } from '../../errors.ts';
import type { HealthCheck } from '../../health-check.ts';
import { type HealthReport, worstOf } from '../../health.ts';
import type { Call, ToAction } from '../call.ts';
import { runDevstack } from '../dev-process.ts';
import { addExamples } from '../examples.ts';
import { formatHealth } from '../format/health-format.ts';
import { formatAgents, formatSchema } from '../format/tool-format.ts';
import { runsPage } from '../temporal-ui.ts';

export function addStackCommands(program: Command, toAction: ToAction): void {
  addDev(program, toAction);
  addTools(program, toAction);
  addDoctor(program, toAction);
}

function addDev(program: Command, toAction: ToAction): void {
  const command = program
    .command('dev')
    .summary('start Temporal, PostgreSQL and a worker here')
    .description(
      'Starts a development stack in this folder (.pawl/) and keeps it up until Ctrl-C. Every other command, run from\n' +
        'here or below, finds it. Arguments are passed on to the stack.',
    )
    .argument('[arguments...]', 'passed on')
    .allowUnknownOption()
    .action(toAction(dev));
  addExamples(command, [
    ['pawl dev', 'and, in another terminal, pawl run …'],
    ['pawl dev -- --help', 'what the stack itself takes'],
  ]);
}

function dev(call: Call): Promise<ExitCode> {
  return runDevstack(call.io, call.args);
}

function addTools(program: Command, toAction: ToAction): void {
  const command = program
    .command('tools')
    .summary('agents and tools, and what is promised for each')
    .description(
      'Lists the agents that workers offer and their tools with the contract that Pawl derived for each.',
    )
    .addArgument(new Argument('[agent]', 'only this agent, with its input schema in full'))
    .action(toAction(tools));
  addExamples(command, [
    ['pawl tools', 'all agents'],
    ['pawl tools payouts', 'one, with its input schema'],
  ]);
}

async function tools(call: Call): Promise<void> {
  const client = await call.connect();
  const agents = await call.progress('reading agents', client.tools());
  const [name] = call.args;
  if (name === undefined) {
    return call.print(agents, () => formatAgents(call.io, agents, new Date()));
  }
  const mine = agents.filter(({ agent }) => agent === name);
  if (mine.length === 0) {
    const known = [...new Set(agents.map(({ agent }) => agent))];
    throw new AgentUnknownError(name, known, call.options.taskQueue ?? 'pawl');
  }
  call.print(
    mine,
    () => `${formatAgents(call.io, mine, new Date())}\n${mine.map(formatSchema).join('')}`,
  );
}

function addDoctor(program: Command, toAction: ToAction): void {
  const command = program
    .command('doctor')
    .summary('check everything that a run needs')
    .description(
      'Checks Node, the database (schema, clock), Temporal (namespace, task queue), workers, doubts, stuck runs and\n' +
        'provider keys (only whether they are set), each with what to do. Exit code 1 when a check fails.',
    )
    .action(toAction(doctor));
  addExamples(command, [
    ['pawl doctor', 'first thing at 3 a.m.'],
    ['pawl doctor --json', 'for a monitor'],
  ]);
}

async function doctor(call: Call): Promise<ExitCode> {
  const client = call.open();
  const report = await call.progress('looking', client.doctor());
  const checks = [checkStack(call), ...report.checks, checkLogs(call)];
  const full: HealthReport = { status: worstOf(checks), checks };
  call.print(full, () => formatHealth(call.io, full));
  return full.status === 'fail' ? ExitCode.Failed : ExitCode.Ok;
}

function checkStack({ stack }: Call): HealthCheck {
  const name = 'stack';
  if (!stack) {
    const detail =
      'servers as the options and the environment name them (no .pawl/stack.json is used)';
    return { name, status: 'pass', detail };
  }
  if (stack.isRunning) {
    const ui = stack.uiUrl ? `, Temporal's UI at ${runsPage(stack.uiUrl)}` : '';
    return {
      name,
      status: 'pass',
      detail: `${stack.file} (process ${String(stack.pid ?? '?')})${ui}`,
    };
  }
  const detail = `${stack.file} names process ${String(stack.pid)}, which is not running`;
  return { name, status: 'warn', detail, advice: 'Start it again: pawl dev' };
}

function checkLogs({ stack }: Call): HealthCheck {
  const name = 'logs';
  if (!stack) return { name, status: 'pass', detail: 'where your own deployment writes them' };
  const folder = join(dirname(stack.file), 'logs');
  return existsSync(folder)
    ? { name, status: 'pass', detail: folder }
    : { name, status: 'pass', detail: `in ${dirname(stack.file)}` };
}
