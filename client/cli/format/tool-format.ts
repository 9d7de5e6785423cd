// `pawl tools` as text: what each agent may do, and what Pawl promises for each tool.
import type { AgentView, ToolDescription } from '../../agents.ts';
import type { CliIo } from '../cli-io.ts';
import { toSafeLine } from './safe-text.ts';
import { formatTable } from './table.ts';
import { formatDuration, formatJsonBlock, formatWhen } from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

const PROMISES = {
  read: 'changes nothing; repeated freely',
  transactional: 'written with the ledger, in one transaction',
  keyed: 'resent with the same key and bytes',
  reconcilable: 'asked about before it is resent',
  once: 'never resent; a doubt goes to you',
} as const;

/** All agents, each with its tools. */
export function formatAgents(io: Terminal, agents: readonly AgentView[], now: Date): string {
  if (agents.length === 0) return 'No worker offers an agent. Start one: pawl dev\n';
  return agents.map((agent) => formatAgent(io, agent, now)).join('\n');
}

function formatAgent(io: Terminal, agent: AgentView, now: Date): string {
  const workers = `${agent.workers.length} worker${agent.workers.length === 1 ? '' : 's'}`;
  const live = agent.isLive
    ? io.paint('good', `${workers}, live`)
    : io.paint('warn', `${workers}, last seen ${formatWhen(agent.seenAt, now)}`);
  const model = [agent.model.primary, ...agent.model.fallbacks].join(', then ');
  const head = `${io.paint('bold', toSafeLine(agent.agent))}  ${toSafeLine(model)}  ${live}`;
  const schema = io.paint('dim', `input ${toSafeLine(JSON.stringify(agent.inputSchema))}`);
  const tools = agent.tools.length > 0 ? formatTools(io, agent.tools) : 'No tools.\n';
  const warnings = agent.tools.flatMap(({ name, warnings: found }) =>
    found.map((warning) => `${io.paint('warn', 'warning')} ${toSafeLine(`${name}: ${warning}`)}\n`),
  );
  return `${head}\n${schema}\n${tools}${formatEgress(io, agent)}${warnings.join('')}`;
}

/** Where tools may connect to, where somebody has said so. */
function formatEgress(io: Terminal, { egress, tools }: AgentView): string {
  const line = (who: string, hosts: readonly string[]): string =>
    `${io.paint('dim', 'egress')} ${toSafeLine(`${who}: ${hosts.join(', ') || 'nothing'}`)}\n`;
  const own = tools.map((tool) => (tool.egress ? line(tool.name, tool.egress) : ''));
  return `${egress ? line('all tools', egress) : ''}${own.join('')}`;
}

function formatTools(io: Terminal, tools: readonly ToolDescription[]): string {
  return formatTable<ToolDescription>(
    io,
    [
      { head: 'TOOL', cell: ({ name }) => name },
      { head: 'CONTRACT', cell: ({ contract }) => contract },
      { head: 'AFTER A CRASH', cell: ({ contract }) => PROMISES[contract], isFlexible: true },
      {
        head: 'KEY',
        cell: ({ keyRetentionMs }) => (keyRetentionMs ? formatDuration(keyRetentionMs) : '-'),
      },
      { head: 'PROBE', cell: ({ hasProbe }) => (hasProbe ? 'yes' : '-') },
      { head: 'IDENTITY', cell: formatIdentity, tone: identityTone },
      { head: 'TIME-OUT', cell: formatTimeout, align: 'right' },
      { head: 'SENDS', cell: ({ sendsMax }) => `<= ${sendsMax}`, align: 'right' },
      {
        head: 'CALLS',
        cell: ({ callsPerRunMax }) => (callsPerRunMax ? `<= ${callsPerRunMax}` : '-'),
      },
      { head: 'DESCRIPTION', cell: ({ description }) => description, isFlexible: true },
    ],
    tools,
  );
}

function formatTimeout({ timeoutMs, local }: ToolDescription): string {
  return `${local ? 'local, ' : ''}${formatDuration(timeoutMs)}`;
}

function formatIdentity({ contract, hasIdentity }: ToolDescription): string {
  if (contract === 'read') return '-';
  return hasIdentity ? 'yes' : 'none';
}

function identityTone({ contract, hasIdentity }: ToolDescription): 'warn' | undefined {
  return contract !== 'read' && !hasIdentity ? 'warn' : undefined;
}

/** One agent's input schema in full. */
export function formatSchema(agent: AgentView): string {
  return `${formatJsonBlock(agent.inputSchema)}\n`;
}
