// The effect of the benchmarks: a keyed transfer of one cent, whose result carries a note.
import { z } from 'zod';
import { defineTool, httpEffect } from '../domain/index.ts';
import type { AnyTool } from '../domain/schemas/define-tool.ts';

export function transferTool(bankUrl: string, note: string, { local = false } = {}): AnyTool {
  return defineTool({
    name: 'transfer',
    description: 'Transfers one cent.',
    input: z.object({ reference: z.string() }),
    output: z.object({ transferId: z.string(), note: z.string() }),
    effect: { key: { retention: '24h' }, identity: ({ reference }) => ['transfer', reference] },
    local,
    run: httpEffect({
      request: ({ reference }) => ({
        url: `${bankUrl}/transfers`,
        body: { reference, payee: 'Bench', amountMinor: 1, currency: 'EUR' },
      }),
      response: (body) => ({ ...z.object({ transferId: z.string() }).parse(body), note }),
    }),
  });
}
