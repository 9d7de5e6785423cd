// The reconciler, on a schedule of its own: doubts surface whatever became of the workflow, and lost signals are made good.
import { randomUUID } from 'node:crypto';
import { describe, expect } from '@jest/globals';
import pg from 'pg';
import { z } from 'zod';
import { type AnyTool, defineAgent, defineTool, httpEffect } from '../../domain/index.ts';
import { until } from '../../testing/until.ts';
import { crashAt } from '../../testing/crash-at.ts';
import type { TestRunOptions } from '../../testing/test-run-options.ts';
import { type TestRun, withTestRun } from '../../testing/with-test-run.ts';
import { guarantee } from '../guarantee.ts';

const policy = new URL('../../bench/paying-agent.cedar', import.meta.url).pathname;

/** Once: the receiver offers nothing. */
function mail(mailboxUrl: string): AnyTool {
  return defineTool({
    name: 'mail',
    description: 'Mails.',
    input: z.object({ subject: z.string() }),
    output: z.unknown(),
    effect: 'once',
    timeout: '2s',
    run: httpEffect({
      request: ({ subject }) => ({
        url: `${mailboxUrl}/messages`,
        body: { to: 'ada@example.com', subject, text: 'hello' },
      }),
      response: (body) => body,
    }),
  });
}

function withMailer(
  subject: string,
  body: (t: TestRun) => Promise<void>,
  options: Pick<TestRunOptions, 'crash'> = {},
): Promise<void> {
  return withTestRun(
    {
      agents: ({ mailbox }) => [
        defineAgent({
          name: 'mailer',
          input: z.object({}),
          instructions: 'Mail once.',
          tools: [mail(mailbox.url)],
          model: { primary: 'anthropic/claude-sonnet-5-5' },
          policy,
        }),
      ],
      model: [{ toolCalls: [{ name: 'mail', arguments: { subject } }] }, { text: 'done' }],
      worker: { reconcileEveryMs: 1_000 },
      ...options,
    },
    body,
  );
}

describe('the reconciler', () => {
  guarantee(
    'law-11-reconciler',
    'the attempt dies behind its send and the workflow is terminated → the doubt is in the inbox after its lease',
    () => {
      const subject = `terminated ${randomUUID()}`;
      const body = async (t: TestRun): Promise<void> => {
        const { runKey } = await t.start('mailer', {});
        await until(() => t.mailbox.receipts().length === 1);
        // Nobody is left who could settle it: the attempt is dead, and there will be no other.
        await t.temporal.workflow.getHandle(runKey).terminate('by an operator');
        const [doubt] = await until(async () => {
          const doubts = await t.client.doubts();
          return doubts.length > 0 ? doubts : undefined;
        });
        expect(doubt).toMatchObject({ runKey, tool: 'mail', status: 'in_doubt' });
        expect(t.mailbox.requests()).toHaveLength(1);
      };
      return withMailer(subject, body, { crash: crashAt('after-send', 'mail') });
    },
  );

  guarantee(
    ['law-11-reconciler', 'S2-04'],
    'a settlement whose signal was lost → folded in, and the run is woken',
    () => {
      const subject = `settled ${randomUUID()}`;
      return withMailer(subject, async (t) => {
        t.mailbox.setMode({ reference: subject }, 'commit-then-reset');
        const run = await t.start('mailer', {});
        await t.untilStatus(run.runKey, 'in_doubt');
        await writeSettlementAlone(t);
        const { result } = await run.result();
        expect(result?.kind).toBe('completed');
        expect(t.mailbox.requests()).toHaveLength(1);
      });
    },
  );
});

/** What a client leaves that died between its row and its signal. */
async function writeSettlementAlone({ databaseUrl }: TestRun): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    `insert into pawl.settlements (tenant, effect_id, id, outcome, output, evidence, settled_by)
     select tenant, id, 'st_lost', 'applied', '{}', 'the mail is in the inbox', 'ada' from pawl.effects`,
  );
  await client.end();
}
