// worker, build-bundle: worker processes, run by programs of the package that the client may not import.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ArgumentInvalidError, type ExitCode } from '../../errors.ts';
import type { Call, ToAction } from '../call.ts';
import { programCommand, runProgram } from '../dev-process.ts';
import { addExamples } from '../examples.ts';

interface WorkerOptions {
  readonly workers: string;
  readonly spares: string;
}

interface BundleOptions {
  readonly out: string;
  readonly workflows?: string;
  readonly encrypted?: boolean;
}

export function addWorkerCommands(program: Command, toAction: ToAction): void {
  addWorker(program, toAction);
  addBuildBundle(program, toAction);
}

function addWorker(program: Command, toAction: ToAction): void {
  const command = program
    .command('worker')
    .summary('run your worker module, and another when it dies')
    .description(
      'Runs worker processes from a module that calls createWorker() and run(), with a warm spare beside them. When a\n' +
        'process has really ended, the spare polls at once and what the dead one held is handed back to Temporal: its runs\n' +
        'go on within a second. A process that is only frozen or slow is left alone. Ctrl-C or SIGTERM ends all in order, a\n' +
        'second one at once. Exit code 1 when the module ends before its worker is ready, 2 for wrong usage.',
    )
    .argument('<module>', 'your worker module, TypeScript or JavaScript')
    .option('--workers <n>', 'processes that poll', '1')
    .option(
      '--spares <n>',
      'processes that are ready and wait; 0: a new one is started after a death',
      '1',
    )
    .action(toAction<WorkerOptions>(worker));
  addExamples(command, [
    ['pawl worker ./worker.ts', 'beside `pawl dev`, whose servers it finds'],
    ['pawl worker dist/worker.js --workers 4', 'one more waits as the spare'],
    ['pawl worker dist/worker.js --json', 'one JSON object per line, for machines'],
  ]);
}

function worker(call: Call<WorkerOptions>): Promise<ExitCode> {
  const { io, args, options } = call;
  const file = toFile(io.cwd, args[0] ?? '');
  const counts = [
    ...['--workers', toCount('--workers', options.workers, 1)],
    ...['--spares', toCount('--spares', options.spares, 0)],
  ];
  const words = [file, ...counts, ...(options.json ? ['--json'] : [])];
  const env = environmentOf(call);
  return runProgram(io, programCommand('workers/supervisor/main'), words, { env, isTied: true });
}

const MOST = 256;

function toCount(option: string, text: string, min: number): string {
  if (/^\d{1,3}$/.test(text) && Number(text) >= min && Number(text) <= MOST) return text;
  throw new ArgumentInvalidError(`${option} ${text}: give a whole number from ${min} to ${MOST}.`);
}

function toFile(cwd: string, name: string): string {
  const file = resolve(cwd, name);
  if (existsSync(file)) return file;
  throw new ArgumentInvalidError(`There is no worker module ${file}.`);
}

/** What the options and the stack of this folder say, as the worker's environment; the stack's servers as `pawl dev` gives them. */
function environmentOf({ io, options, stack }: Call<WorkerOptions>): typeof io.env {
  const named = {
    TEMPORAL_ADDRESS: options.temporalAddress,
    DATABASE_URL: options.databaseUrl,
    PAWL_NAMESPACE: options.namespace,
    PAWL_TASK_QUEUE: options.taskQueue,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  const found = stack
    ? {
        TEMPORAL_ADDRESS: stack.temporalAddress,
        DATABASE_URL: stack.workerDatabaseUrl ?? stack.databaseUrl,
        PAWL_MIGRATE: 'no',
        PAWL_EGRESS_PRIVATE: io.env['PAWL_EGRESS_PRIVATE'] ?? 'allow',
      }
    : {};
  return { ...io.env, ...found, ...Object.fromEntries(given) };
}

function addBuildBundle(program: Command, toAction: ToAction): void {
  const command = program
    .command('build-bundle')
    .summary('bundle workflow code for production')
    .description(
      'Bundles workflow code into a file, so that a worker does not do it at each start: it is polling within two\n' +
        'seconds. Name the file to workers by PAWL_WORKFLOW_BUNDLE. It holds the version of @temporalio/workflow that is\n' +
        'installed here: make it in the step that builds the worker.',
    )
    .requiredOption('--out <file>', 'where the bundle is written')
    .option('--workflows <module>', 'your own workflows (default: pawl/workflows)')
    .option('--encrypted', 'for workers with PAWL_ENCRYPTION_KEYS')
    .action(toAction<BundleOptions>(buildBundle));
  addExamples(command, [
    ['pawl build-bundle --out dist/workflows.bundle.js', "Pawl's own workflows"],
    [
      'pawl build-bundle --workflows dist/workflows.js --out dist/workflows.bundle.js',
      'with yours',
    ],
    ['PAWL_WORKFLOW_BUNDLE=dist/workflows.bundle.js pawl worker dist/worker.js', 'use it'],
  ]);
}

function buildBundle({ io, options }: Call<BundleOptions>): Promise<ExitCode> {
  const { workflows, out, encrypted = false, json = false } = options;
  const words = [
    ...['--out', resolve(io.cwd, out)],
    ...(workflows === undefined ? [] : ['--workflows', toFile(io.cwd, workflows)]),
    ...(encrypted ? ['--encrypted'] : []),
    ...(json ? ['--json'] : []),
  ];
  return runProgram(io, programCommand('workers/build-bundle'), words);
}
