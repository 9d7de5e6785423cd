// The compensation of a tool is a tool itself: it has a contract, a key, doubts and retries of its own.
import { z } from 'zod';
import { deriveContract } from '../rules/contract.ts';
import type { AnyTool, EffectDeclaration, Tool } from './define-tool.ts';
import type { ProbeResult } from './outcomes.ts';
import type { ProbeContext, ToolContext } from './tool-context.ts';

type Undo<Input, Output> = (input: Input, output: Output, ctx: ToolContext) => Promise<unknown>;

/** How an applied effect is undone: the code alone, or with a probe of its own. */
export type Compensate<Input, Output> =
  | Undo<Input, Output>
  | {
      /** Write by `ctx.fetch` with `ctx.idempotencyKey`, which is not the key of the effect that is undone. */
      readonly run: Undo<Input, Output>;
      /** Asks the receiver whether the undoing happened. */
      readonly probe?: (
        input: Input,
        output: Output,
        ctx: ProbeContext,
      ) => Promise<ProbeResult<unknown>>;
    };

/** What the compensation of `name` is called, in the ledger and as an activity. */
export function compensationName(name: string): string {
  return `${name}.compensate`;
}

interface Done<Input, Output> {
  readonly input: Input;
  readonly output: Output;
}

/** The receiver that honours a key for the effect does so for its compensation; a probe has to be its own. */
export function toCompensation<Input, Output, Given>(
  tool: Tool<Input, Output, Given>,
  compensate: Compensate<Input, Output>,
): AnyTool {
  const { run, probe = undefined } =
    typeof compensate === 'function' ? { run: compensate } : compensate;
  const { key, transactional } = tool.declaration;
  const declaration: EffectDeclaration<Done<Input, Output>, unknown> = {
    ...(key ? { key } : {}),
    ...(transactional ? { transactional } : {}),
    ...(probe ? { probe: ({ input, output }, ctx) => probe(input, output, ctx) } : {}),
  };
  return {
    ...tool,
    name: compensationName(tool.name),
    description: `Undoes ${tool.name}.`,
    // What was stored of the effect is a fact: no schema judges its output a second time.
    input: z.object({ input: tool.input, output: z.unknown() }),
    output: z.unknown(),
    contract: deriveContract({
      isRead: false,
      isTransactional: transactional === true,
      keyRetentionMs: tool.keyRetentionMs,
      hasProbe: probe !== undefined,
    }),
    declaration,
    callsPerRunMax: undefined,
    run: ({ input, output }: Done<Input, Output>, ctx: ToolContext) => run(input, output, ctx),
    compensation: undefined,
  };
}
