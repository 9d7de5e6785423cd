// replay: histories against this build, one line each.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import type { PawlClient } from '../../pawl-client.ts';
import type { Call, ToAction } from '../call.ts';
import type { CliIo } from '../cli-io.ts';
import { addExamples } from '../examples.ts';
import { toSafeText } from '../format/safe-text.ts';
import {
  type NamedHistory,
  readHistory,
  type Replay,
  replayHistory,
  resolveWorkflowsPath,
} from '../replay-history.ts';

interface ReplayOptions {
  readonly workflows?: string;
}

export function addReplayCommand(program: Command, toAction: ToAction): void {
  const command = program
    .command('replay')
    .summary('check that this build can continue runs')
    .description(
      'Replays histories against the workflow code of this build: nothing is sent, nothing changes.\n' +
        'Takes run keys (fetched from Temporal) and files: binary protobuf (.bin, .pb) or JSON.\n' +
        'Exit code 1 when one of them is not deterministic with this build.',
    )
    .argument('<run-or-file...>', 'run keys or history files')
    .option('--workflows <path>', 'workflow code to replay against (default: pawl/workflows)')
    .action(toAction<ReplayOptions>(replay));
  addExamples(command, [
    ['pawl replay latest', 'the newest run, as Temporal has it now'],
    ['pawl replay test/replay/histories/*.bin', 'before a deploy'],
    ['pawl replay history.json --workflows ./workflows/index.ts', 'your own workflow code'],
  ]);
}

async function replay(call: Call<ReplayOptions>): Promise<ExitCode> {
  const { io, options } = call;
  const workflowsPath = resolveWorkflowsPath(io.cwd, options.workflows);
  const replays: Replay[] = [];
  let client: PawlClient | undefined;
  for (const target of call.args) {
    // Only a run key needs the servers.
    const isFile = looksLikeFile(io.cwd, target);
    if (!isFile) client ??= await call.connect();
    const reading = client && !isFile ? fetchHistory(client, target) : readHistory(io.cwd, target);
    const named = await call.progress(`reading ${target}`, reading);
    const one = await call.progress(`replaying ${named.name}`, replayHistory(named, workflowsPath));
    replays.push(one);
    if (!options.json) io.out(formatReplay(io, one));
  }
  const isClean = replays.every(({ status }) => status === 'ok');
  call.print({ isClean, replays }, () => '');
  return isClean ? ExitCode.Ok : ExitCode.Failed;
}

/** A run key has no dot and no slash. */
function looksLikeFile(cwd: string, target: string): boolean {
  return /[./\\]/.test(target) || existsSync(resolve(cwd, target));
}

async function fetchHistory(client: PawlClient, target: string): Promise<NamedHistory> {
  const { runKey, history } = await client.history(target);
  return { name: runKey, history };
}

function formatReplay(
  { paint }: Pick<CliIo, 'paint'>,
  { name, events, status, message }: Replay,
): string {
  if (status === 'ok') return `${paint('good', 'ok  ')} ${name} (${events} events)\n`;
  const word =
    status === 'nondeterministic' ? 'not deterministic with this build' : 'could not be replayed';
  return `${paint('bad', 'FAIL')} ${name} (${events} events): ${word}\n${toSafeText(`     ${message ?? ''}`)}\n`;
}
