// The agent of the workflow tests: a clerk who looks up, pays (keyed, with and without identity) and notifies (once).
import { join } from 'node:path';
import { type AgentOptions, defineAgent, defineTool, httpEffect, refused } from 'pawl';
import { type ModelReply, type Receivers, type TestRun, toolResults, until } from 'pawl/testing';
import pg from 'pg';
import { ulid } from 'ulid';
import { z } from 'zod';
import type { AnyAgent } from '../../testing/test-run-options.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Step } from '../../domain/rules/run.ts';
import type { AgentRunInput, RunStatusView } from '../../workflows/messages.ts';

const payment = z.object({
  reference: z.string(),
  payee: z.string().default('Acme'),
  cents: z.number().int().positive(),
});
type Payment = z.infer<typeof payment>;
const transfer = z.object({ transferId: z.string(), reference: z.string() });

/** A payment by bank transfer; `pay` knows its intention, `pay_again` does not. */
export function payTool(
  { bank }: Receivers,
  { name = 'pay', timeout = '5s' as `${number}s`, hasIdentity = true, local = false } = {},
): AnyTool {
  return defineTool({
    name,
    description: 'Pays by bank transfer.',
    input: payment,
    output: transfer,
    effect: {
      key: { retention: '24h' },
      amount: ({ cents }: Payment) => ({ minor: cents, currency: 'EUR' }),
      ...(hasIdentity ? { identity: ({ reference }: Payment) => ['payment', reference] } : {}),
    },
    timeout,
    local,
    retry: { maximumAttempts: 6 },
    run: httpEffect({
      request: ({ reference, payee, cents }) => ({
        url: `${bank.url}/transfers`,
        body: { reference, payee, amountMinor: cents, currency: 'EUR' },
      }),
      response: (body) => transfer.parse(body),
    }),
  });
}

/** A message that cannot be recognised, asked for or taken back. */
export function notifyTool(
  { mailbox }: Receivers,
  { timeout = '8s' as `${number}s`, local = false } = {},
): AnyTool {
  return defineTool({
    name: 'notify',
    description: 'Sends one message.',
    input: z.object({ subject: z.string(), text: z.string().default('') }),
    output: z.object({ messageId: z.string() }),
    effect: 'once',
    timeout,
    local,
    run: httpEffect({
      request: ({ subject, text }) => ({
        url: `${mailbox.url}/messages`,
        body: { to: 'team@example.com', subject, text },
      }),
      response: (body) => z.object({ messageId: z.string() }).parse(body),
    }),
  });
}

/** Attempts of a read. */
export const LOOK_UPS = 4;

/** A read: asks the bank for the transfers of a reference. `none` is its definite no. */
export function lookUpTool({ bank }: Receivers, { local = false } = {}): AnyTool {
  return defineTool({
    name: 'look_up',
    description: 'Lists the transfers of a reference.',
    input: z.object({ reference: z.string() }),
    output: z.object({ count: z.number() }),
    effect: 'read',
    local,
    retry: { maximumAttempts: LOOK_UPS },
    run: async ({ reference }, ctx) => {
      if (reference === 'none') throw refused('no_such_reference', 'there is nothing of that name');
      const answer = await ctx.read(`${bank.url}/transfers?reference=${reference}`);
      if (!answer.ok) throw new Error(`the look-up answers ${answer.status}`);
      const found: unknown = await answer.json();
      return { count: Array.isArray(found) ? found.length : 0 };
    },
  });
}

type Change = Partial<Omit<AgentOptions<unknown, unknown>, 'tools' | 'input'>>;

/** The clerk, by default with all of its tools. */
export function clerk(
  receivers: Receivers,
  { tools, ...change }: Change & { tools?: readonly AnyTool[] } = {},
): AnyAgent {
  return defineAgent({
    name: 'clerk',
    input: z.object({ task: z.string() }),
    instructions: 'You do what you are told.',
    tools: tools ?? [
      lookUpTool(receivers),
      payTool(receivers),
      payTool(receivers, { name: 'pay_again', hasIdentity: false }),
      notifyTool(receivers),
    ],
    model: { primary: 'anthropic/claude-haiku-4-5', fallbacks: [] },
    policy: join(import.meta.dirname, 'fixtures/clerk.cedar'),
    ...change,
  });
}

export const TASK = { task: 'pay what is due' };

/** A model answer with calls: `calls(['pay', { … }], …)`. */
export function calls(...list: readonly [name: string, input: unknown][]): ModelReply {
  return { toolCalls: list.map(([name, input]) => ({ name, arguments: input })) };
}

/** A payment call. */
export function pay(reference: string, cents = 2_000, more: object = {}): [string, unknown] {
  return ['pay', { reference, cents, ...more }];
}

/** The model's last word. */
export const DONE: ModelReply = { text: 'done' };

/** Every workflow test runs twice: with a cache, and replayed from the start at every task. */
export const CACHES: readonly [title: string, maxCachedWorkflows: number][] = [
  ['cached', 200],
  ['replayed at every task', 0],
];

/** Waits until the live run says that it is at this step: it answers behind every signal that was sent before. */
export async function untilLive(t: TestRun, runKey: string, step: Step['kind']): Promise<void> {
  const handle = t.temporal.workflow.getHandle(runKey);
  await until(async () => (await handle.query<RunStatusView>('pawl.status')).step === step, {
    what: `${runKey} to be at ${step}`,
  });
}

/** The tool results that the model was shown last, oldest first. */
export function shownResults(t: TestRun): ReturnType<typeof toolResults> {
  const last = t.model.requests().at(-1)?.neutral;
  return last ? toolResults(last) : [];
}

/** A statement on the ledger's database, as nobody but a test makes it. */
export async function sql(
  t: TestRun,
  text: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: t.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(text, values);
    return rows;
  } finally {
    await client.end();
  }
}

/** What a client leaves that dies between its row and its signal. */
export async function pauseByRowOnly(t: TestRun, runKey: string): Promise<void> {
  await sql(t, `update pawl.controls set paused_at = clock_timestamp() where run_key = $1`, [
    runKey,
  ]);
}

/** A run's row without its workflow, written past the client's checks; returns what a workflow is started with. */
export async function insertRun(
  t: TestRun,
  agent: string,
  input: unknown,
): Promise<AgentRunInput & { readonly runKey: string }> {
  const runKey = `run_${ulid()}`;
  await sql(
    t,
    `insert into pawl.runs (tenant, run_key, root_key, agent, workflow_id, requester, input)
     values ('default', $1, $1, $2, $1, 'tester', $3)`,
    [runKey, agent, JSON.stringify(input)],
  );
  await sql(t, `insert into pawl.controls (tenant, run_key) values ('default', $1)`, [runKey]);
  const origin = {
    v: 1,
    tenant: 'default',
    runKey,
    rootKey: runKey,
    path: [],
    generation: 0,
  } as const;
  return { ...origin, agent, input };
}

/** A run that the client would have refused: started by an older or a broken one. */
export async function startUnchecked(t: TestRun, agent: string, input: unknown): Promise<string> {
  const start = await insertRun(t, agent, input);
  const { taskQueue } = t;
  await t.temporal.workflow.start('agentRun', {
    workflowId: start.runKey,
    taskQueue,
    args: [start],
  });
  return start.runKey;
}
