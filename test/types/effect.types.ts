// What the compiler knows of effect() in a user's workflow, from `import type` of a tool alone; compiled, never run.
import { defineTool } from 'pawl';
import { effect, type EffectCall } from 'pawl/workflows';
import { z } from 'zod';
import type { refund } from './define-tool.types.ts';
import { exactly } from './exactly.ts';

/** A workflow as a user writes it. */
export async function refundWorkflow(runKey: string): Promise<string> {
  const refundOnce = effect<typeof refund>('refund');
  exactly<EffectCall<typeof refund>>()(refundOnce);

  const answer = await refundOnce({ orderId: 'ord_1', cents: 500 }, { runKey });
  exactly<{ refundId: string }>()(answer);
  await refundOnce({ orderId: 'ord_1', cents: 500 }, { runKey, step: 'again' });

  // @ts-expect-error: a field of the wrong type.
  await refundOnce({ orderId: 'ord_1', cents: '500' }, { runKey });
  // @ts-expect-error: a field is missing.
  await refundOnce({ orderId: 'ord_1' }, { runKey });
  // @ts-expect-error: without a run key a reset would send again.
  await refundOnce({ orderId: 'ord_1', cents: 500 }, {});
  // @ts-expect-error: no address at all.
  await refundOnce({ orderId: 'ord_1', cents: 500 });
  // @ts-expect-error: the output has no such field.
  return answer.receipt;
}

const note = defineTool({
  name: 'note',
  description: 'Note.',
  input: z.object({ text: z.string() }),
  output: z.object({}),
  run: async () => ({}),
});

/** A tool's value gives its name and time-out; its type comes along. */
export async function noteWorkflow(runKey: string): Promise<void> {
  const noteOnce = effect<typeof note>(note);
  exactly<{ text: string }>()<Parameters<typeof noteOnce>[0]>();
  await noteOnce({ text: 'x' }, { runKey });
}
