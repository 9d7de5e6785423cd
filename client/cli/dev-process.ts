// Starts programs of this package as child processes: by path, because the client may not import them.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ExitCode, PawlError } from '../errors.ts';
import type { CliIo } from './cli-io.ts';

/** The folder of Pawl's package.json, from source and from `dist/` alike. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (dirname(folder) === folder) throw new Error('No package.json above the CLI');
  }
}

/** How this build starts one of its programs, named by its path below the root without its ending. */
export function programCommand(name: string): readonly string[] {
  const root = packageRoot();
  const isSource = import.meta.url.endsWith('.ts');
  return isSource
    ? ['--conditions=pawl-source', '--import', import.meta.resolve('tsx'), join(root, `${name}.ts`)]
    : [join(root, `dist/${name}.js`)];
}

/** How this build starts its development stack. */
export function devstackCommand(): readonly string[] {
  return programCommand('devstack/main');
}

const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export interface ProgramOptions {
  /** @default that of this process */
  readonly env?: CliIo['env'];
  /** It is told by an IPC channel that breaks when this process dies. @default false */
  readonly isTied?: boolean;
}

/** Runs the stack until it ends; its exit code is ours. */
export function runDevstack(io: CliIo, args: readonly string[]): Promise<ExitCode> {
  const [script = ''] = devstackCommand().slice(-1);
  if (existsSync(script)) return runProgram(io, devstackCommand(), args);
  throw new PawlError('Stack.Missing', `This build of Pawl has no development stack (${script}).`);
}

/** Runs a program until it ends; its exit code is ours. */
export async function runProgram(
  io: CliIo,
  command: readonly string[],
  args: readonly string[],
  { env = io.env, isTied = false }: ProgramOptions = {},
): Promise<ExitCode> {
  const child = spawn(process.execPath, [...command, ...args], {
    cwd: io.cwd,
    env,
    // `inherit`: the program may ask questions and draws its own progress.
    stdio: ['inherit', 'inherit', 'inherit', ...(isTied ? (['ipc'] as const) : [])],
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  // A terminal sends Ctrl-C to both processes: only the program decides when it has stopped.
  const handlers = FORWARDED.map((signal) => {
    const react = (): void =>
      signal === 'SIGINT' && io.isInteractive ? undefined : forward(signal);
    process.on(signal, react);
    return () => process.off(signal, react);
  });
  try {
    return await new Promise<ExitCode>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(toExitCode(code, signal)));
    });
  } finally {
    for (const remove of handlers) remove();
  }
}

function toExitCode(code: number | null, signal: NodeJS.Signals | null): ExitCode {
  if (signal === 'SIGINT') return ExitCode.Interrupted;
  // The stack keeps to the same table of exit codes.
  return (code ?? ExitCode.Failed) as ExitCode;
}
