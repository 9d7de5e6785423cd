// Runs as text: the list, and everything about one.
import type { Json } from '../../../domain/rules/json.ts';
import type { CallView, RunDetails, RunView, TranscriptEntry } from '../../run-views.ts';
import type { CliIo } from '../cli-io.ts';
import { formatEffects } from './effect-format.ts';
import { toLines, toSafeLine } from './safe-text.ts';
import { type Column, type Field, formatCard, formatTable } from './table.ts';
import {
  formatCause,
  formatCost,
  formatCount,
  formatDuration,
  formatJson,
  formatJsonBlock,
  formatStatus,
  formatTime,
  formatWhen,
  toneOf,
} from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

/** `pawl list`. */
export function formatRuns(io: Terminal, runs: readonly RunView[], now: Date): string {
  if (runs.length === 0) return "No runs yet. Start one: pawl run AGENT --input '{…}'\n";
  const columns: readonly Column<RunView>[] = [
    { head: 'RUN', cell: ({ runKey }) => runKey },
    { head: 'AGENT', cell: ({ agent }) => agent, isFlexible: true },
    { head: 'STATUS', cell: (run) => formatStatus(run.status), tone: (run) => toneOf(run.status) },
    { head: 'TURN', cell: ({ turn }) => String(turn), align: 'right' },
    { head: 'COST', cell: ({ costMicroUsd }) => formatCost(costMicroUsd), align: 'right' },
    { head: 'STARTED', cell: ({ createdAt }) => formatWhen(createdAt, now) },
    { head: 'NEEDS YOU', cell: formatNeeds, tone: () => 'warn', isFlexible: true },
  ];
  return formatTable(io, columns, runs);
}

/** What waits for a human; empty when nothing does. */
export function formatNeeds({ status, pendingApprovals, doubts }: RunView): string {
  const needs = [
    status === 'stuck' ? 'a repair' : '',
    status === 'waiting_model' ? 'time, or a resume' : '',
    pendingApprovals > 0 ? plural(pendingApprovals, 'approval') : '',
    doubts > 0 ? plural(doubts, 'doubt') : '',
  ];
  return needs.filter((need) => need !== '').join(', ');
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `pawl show`. */
export function formatRunDetails(io: Terminal, details: RunDetails, now: Date): string {
  const { calls, effects, messages } = details;
  const sections = [
    formatCard(io, runFields(details, now)),
    section(io, 'Calls', calls.length > 0 ? formatCalls(io, calls) : ''),
    section(
      io,
      'Effects',
      effects.length > 0 ? formatEffects(io, effects, now, { hasRun: false }) : '',
    ),
    section(
      io,
      'Messages to the model',
      messages
        .map((message) => {
          const seen =
            message.consumedTurn === null
              ? 'not shown yet'
              : `shown in turn ${message.consumedTurn}`;
          return `${toSafeLine(`${message.author}: ${message.text}`)} ${io.paint('dim', `(${seen})`)}\n`;
        })
        .join(''),
    ),
    section(io, 'Not shown', formatCut(details)),
    section(io, 'Next', formatNextSteps(details)),
  ];
  return sections.filter((text) => text !== '').join('\n');
}

/** What stands above is only the end of these. */
function formatCut({ run, cut }: RunDetails): string {
  if (cut.length === 0) return '';
  const commands: Readonly<Record<string, string>> = {
    effects: `pawl effects --run ${run.runKey} --all`,
    approvals: `pawl approvals --run ${run.runKey} --all    # those that wait`,
  };
  const more = cut.map(
    (name) => `${name}: ${commands[name] ?? `pawl show ${run.runKey} --limit …`}`,
  );
  return more.map((line) => `  earlier ${line}\n`).join('');
}

function section(io: Terminal, title: string, body: string): string {
  return body === '' ? '' : `${io.paint('bold', title)}\n${body}`;
}

function runFields(
  { run, input, output, turns, compactions, unusedAnswers }: RunDetails,
  now: Date,
): readonly Field[] {
  const models = [...new Set(turns.map(({ modelServed }) => modelServed))].join(', ');
  const unpriced = turns.some(({ isPriced }) => !isPriced)
    ? ' (some models have no known price)'
    : '';
  const cached = run.cachedInputTokens > 0 ? ` (${formatCount(run.cachedInputTokens)} cached)` : '';
  const tokens = `${formatCount(run.inputTokens)} in${cached}, ${formatCount(run.outputTokens)} out`;
  return [
    ['run', run.runKey, 'bold'],
    ['status', formatStatus(run.status), toneOf(run.status)],
    ['needs you', formatNeeds(run), 'warn'],
    ['stuck because', run.stuckCause === null ? '' : formatCause(run.stuckCause), 'bad'],
    ['waits for', formatModelWait(run), 'warn'],
    ['paused', by(run.pausedAt, run.pausedBy, now)],
    ['cancelled', by(run.cancelledAt, run.cancelledBy, now)],
    ['agent', run.agent],
    ['sub-agent of', run.parentRunKey],
    ['requester', run.requester],
    ['key', run.startKey],
    ['started', `${formatTime(run.createdAt)} (${formatWhen(run.createdAt, now)})`],
    ['finished', formatFinish(run)],
    ['reason', run.result?.reason],
    ['turns', String(run.turn)],
    ['compacted', formatCompactions(compactions)],
    ['paid, not used', formatUnused(unusedAnswers), 'warn'],
    ['model', models],
    ['tokens', tokens],
    ['cost', `${formatCost(run.costMicroUsd)}${unpriced}`],
    ['input', formatJson(input, 400)],
    ['output', formatOutput(output)],
  ];
}

function formatCompactions(compactions: RunDetails['compactions']): string {
  if (compactions.length === 0) return '';
  const cost = compactions.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0);
  return `before turn ${compactions.map(({ turn }) => turn).join(', ')} (${formatCost(cost)})`;
}

/** The latest few: what is wrong tends to repeat. */
function formatUnused(answers: RunDetails['unusedAnswers']): string {
  if (answers.length === 0) return '';
  const cost = answers.reduce((sum, { costMicroUsd }) => sum + costMicroUsd, 0);
  const shown = answers.slice(-3).map(({ kind, turn, problem }) => {
    const what = kind === 'compaction' ? `compaction before turn ${turn}` : `turn ${turn}`;
    return `${what}: ${toSafeLine(problem)}`;
  });
  return `${answers.length} (${formatCost(cost)}): ${shown.join('; ')}`;
}

function formatModelWait({ modelWait }: RunView): string {
  if (!modelWait) return '';
  const until = formatTime(new Date(modelWait.until));
  return `a model, until ${until}: ${toSafeLine(modelWait.reason)}`;
}

function by(at: Date | null, who: string | null, now: Date): string {
  return at ? `by ${who ?? 'somebody'}, ${formatWhen(at, now)}` : '';
}

function formatFinish({ createdAt, finishedAt }: RunView): string {
  if (!finishedAt) return '';
  const took = formatDuration(finishedAt.getTime() - createdAt.getTime());
  return `${formatTime(finishedAt)} (took ${took})`;
}

/** The run's output; empty when there is none. */
export function formatOutput(output: Json): string {
  return output === null ? '' : formatJsonBlock(output);
}

function formatCalls(io: Terminal, calls: readonly CallView[]): string {
  return formatTable<CallView>(
    io,
    [
      { head: 'TURN', cell: ({ turn }) => String(turn), align: 'right' },
      { head: 'CALL', cell: ({ summary }) => summary, isFlexible: true },
      {
        head: 'POLICY',
        cell: ({ verdict }) => verdict,
        tone: (call) => VERDICT_TONES[call.verdict],
      },
      { head: 'RULE', cell: ({ rule }) => rule, isFlexible: true },
      {
        head: 'END',
        cell: ({ ended }) => formatStatus(ended ?? 'open'),
        tone: ({ ended }) => toneOf(ended ?? 'pending'),
      },
      { head: 'EFFECT', cell: ({ effect }) => effect ?? '' },
    ],
    calls,
  );
}

const VERDICT_TONES = { permit: 'good', approve: 'warn', forbid: 'bad', invalid: 'bad' } as const;

/** One message of a transcript, under a line that says whose it is. */
export function formatEntry(
  io: Terminal,
  { seq, turn, role, source, parts }: TranscriptEntry,
): string {
  const head = io.paint('dim', toSafeLine(`${seq} · turn ${turn} · ${role} · ${source}`));
  return `${head}\n${formatParts(io, parts)}\n\n`;
}

const GUTTER = 2;

/** Behind a gutter: no line of a message can pass for the head of another one. */
function formatParts(io: Terminal, parts: Json): string {
  if (parts === null) return '(erased)';
  const list = Array.isArray(parts) ? (parts as readonly Json[]) : [parts];
  const gutter = `${io.paint('dim', '│')} `;
  const lines = list.flatMap((part) => toLines(formatPart(part), GUTTER, io.columns));
  return lines.map((line) => `${gutter}${line}`).join('\n');
}

function formatPart(part: Json): string {
  if (typeof part !== 'object' || part === null || !('kind' in part)) return formatJsonBlock(part);
  if (part.kind === 'text' && typeof part.text === 'string') return part.text;
  if (part.kind === 'tool-call')
    return `-> ${String(part.name)} ${formatJson(part.arguments ?? null)}`;
  if (part.kind === 'tool-result')
    return `<- ${String(part.name)} ${formatJson(part.content ?? null)}`;
  return `(${String(part.kind)})`;
}

/** More of a kind are one line. */
const STEPS_MAX = 10;

/** The commands that help now. */
export function formatNextSteps({ run, approvals, effects }: RunDetails): string {
  const pending = approvals.filter(({ status }) => status === 'pending');
  const doubts = effects.filter(({ status, hasConflict }) => status === 'in_doubt' || hasConflict);
  const steps = [
    ...pending
      .slice(0, STEPS_MAX)
      .map(({ id, summary }) => `pawl approve ${id} --as YOU    # or deny: ${toSafeLine(summary)}`),
    ...(pending.length > STEPS_MAX
      ? [`pawl approvals --run ${run.runKey}    # all ${formatCount(run.pendingApprovals)}`]
      : []),
    ...doubts
      .slice(0, STEPS_MAX)
      .map(
        ({ effect, summary }) => `pawl why ${effect}    # ${toSafeLine(summary)}, then pawl settle`,
      ),
    ...(doubts.length > STEPS_MAX
      ? [`pawl doubts    # all ${formatCount(run.doubts)} of this run, and others`]
      : []),
    ...(RESUMABLE.has(run.status) ? [`pawl resume ${run.runKey}`] : []),
    ...(run.status === 'waiting_user' ? [`pawl session ${run.runKey}`] : []),
    ...(run.isFinished ? [] : [`pawl watch ${run.runKey}`]),
  ];
  return steps.map((step) => `  ${step}\n`).join('');
}

const RESUMABLE: ReadonlySet<string> = new Set(['stuck', 'paused', 'terminated', 'waiting_model']);
