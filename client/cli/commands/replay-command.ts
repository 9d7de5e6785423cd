// replay: histories against this build, one line each.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import type { Call, ToAction } from '../call.ts';
import type { CliIo } from '../cli-io.ts';
import { addExamples } from '../examples.ts';
import { toSafeText } from '../format/safe-text.ts';
import { readHistoryFile, toHistoryFile } from '../../replay/history-file.ts';
import { bundleForReplay, type HistorySource, replayAll } from '../../replay/replay-all.ts';
import { type Replay, resolveWorkflowsPath, toReplay } from '../replay-history.ts';

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
  const sources = await findSources(call);
  const bundle = await call.progress('bundling the workflows', bundleForReplay(workflowsPath));
  let done = 0;
  const startedAtMs = performance.now();
  const replaying = replayAll(sources, { bundle, onReplayed: () => (done += 1) });
  const progress = (): string => `replaying: ${done} of ${sources.length}`;
  const replays = (await call.progress(progress, replaying)).map(toReplay);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const isClean = replays.every(({ status }) => status === 'ok');
  call.print({ isClean, replays }, () => formatReplays(io, replays, seconds));
  return isClean ? ExitCode.Ok : ExitCode.Failed;
}

/** Files are read when their turn comes; runs are fetched at once: one that is not there is told before the bundling. */
async function findSources(call: Call<ReplayOptions>): Promise<readonly HistorySource[]> {
  const { cwd } = call.io;
  // Only a run key needs the servers.
  const needsClient = call.args.some((target) => !looksLikeFile(cwd, target));
  const client = needsClient ? await call.connect() : undefined;
  const sources: HistorySource[] = [];
  for (const target of call.args) {
    if (!client || looksLikeFile(cwd, target)) {
      sources.push(() => readHistoryFile(cwd, target));
      continue;
    }
    const { runKey, history } = await call.progress(`fetching ${target}`, client.history(target));
    const file = toHistoryFile({ name: runKey, history });
    sources.push(() => file);
  }
  return sources;
}

/** A run key has no dot and no slash. */
function looksLikeFile(cwd: string, target: string): boolean {
  return /[./\\]/.test(target) || existsSync(resolve(cwd, target));
}

/** Beyond these only what does not replay has a line of its own. */
const LINES_MAX = 100;

function formatReplays(io: CliIo, replays: readonly Replay[], seconds: number): string {
  const failed = replays.filter(({ status }) => status !== 'ok');
  const lines = (replays.length > LINES_MAX ? failed : replays).map((one) => formatReplay(io, one));
  if (replays.length === 1) return lines.join('');
  const rate = `${seconds.toFixed(1)} s, ${Math.round(replays.length / seconds)} a second`;
  const verdict = failed.length === 0 ? 'all replay' : `${failed.length} do not replay`;
  return `${lines.join('')}${replays.length} histories, ${verdict} (${rate})\n`;
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
