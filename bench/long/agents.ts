// The agent of a long run: each turn one model call and one keyed transfer whose result is some kilobytes.
import { z } from 'zod';
import { type Agent, defineAgent } from '../../domain/index.ts';
import type { ModelScript } from '../../testing/index.ts';
import { transferTool } from '../transfer-tool.ts';

export interface LongInput {
  readonly turns: number;
}

/** The summary takes the place of what lies back after so many turns: a model has no room for 10 MB. */
const COMPACT_AFTER_TURNS = 100;

/** `long` is shown everything, `compacting` a summary of what lies back. */
export function longAgents(
  bankUrl: string,
  resultBytes: number,
): readonly Agent<LongInput, string>[] {
  const note = 'n'.repeat(resultBytes);
  const transfer = transferTool(bankUrl, note);
  const agent = {
    input: z.object({ turns: z.number() }),
    instructions: 'Transfer one cent a turn.',
    tools: [transfer],
    model: { primary: 'anthropic/claude-sonnet-5-5' },
    policy: new URL('../paying-agent.cedar', import.meta.url).pathname,
    budget: { turns: 100_000, usd: '1000000.00', repeats: 10 },
  } as const;
  return [
    defineAgent({ ...agent, name: 'long' }),
    defineAgent({ ...agent, name: 'compacting', compaction: { turns: COMPACT_AFTER_TURNS } }),
  ];
}

/** Transfers `turns` times; where it stands the last reference tells: after a compaction it sees no others. */
export function longScript(turns: number): ModelScript {
  return (request) => {
    const last = lastOf(request);
    const asked = request.messages.at(-1)?.parts.at(-1);
    if (asked?.kind === 'text' && asked.text.startsWith('Summarise')) return { text: `T-${last}` };
    if (last >= turns) return { text: 'done' };
    return { toolCalls: [{ name: 'transfer', arguments: { reference: `T-${last + 1}` } }] };
  };
}

/** The number of the last transfer, as far as the request tells. */
function lastOf({ messages }: Parameters<ModelScript>[0]): number {
  for (const { parts } of messages.toReversed()) {
    const texts = parts.map((part) => {
      if (part.kind === 'text') return part.text;
      return part.kind === 'toolCall' ? JSON.stringify(part.arguments) : '';
    });
    const [, found] = /T-(\d+)/.exec(texts.join('\n')) ?? [];
    if (found !== undefined) return Number(found);
  }
  return 0;
}
