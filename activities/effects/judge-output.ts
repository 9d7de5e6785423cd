// What a tool returned, encoded and judged by its schema. Never throws: after the receiver has answered, no fault of ours is its doubt.
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Json } from '../../domain/rules/json.ts';
import { clip } from './clip.ts';
import { encodeOutput } from './encode-output.ts';
import { outputProblem } from './tool-run.ts';

export interface Judged {
  readonly output: Json;
  /** What is wrong with the output, in one line; absent: nothing is. */
  readonly outputProblem?: string;
}

/** An output as the ledger keeps it, with what is wrong with it. */
export async function judgeOutput(tool: AnyTool, returned: unknown): Promise<Judged> {
  const { output, problem = await outputProblem(tool, output) } = encodeOutput(returned);
  return problem === undefined ? { output } : { output, outputProblem: clip(problem) };
}
