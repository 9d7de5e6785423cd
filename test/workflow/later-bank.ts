// A bank that answers later, its tools, and the handler that it calls back: everything on real sockets.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { absent, defineTool, found, httpEffect, type Json, unclear } from 'pawl';
import {
  type CallbackReading,
  type CallbackReport,
  createCallbackHandler,
  type EffectView,
  PawlClient,
  toRequestListener,
} from 'pawl/client';
import {
  createWebhookSecret,
  type Receivers,
  type TestRun,
  until,
  withTestRun,
} from 'pawl/testing';
import { z } from 'zod';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { TestRunOptions } from '../../testing/test-run-options.ts';

const payment = z.object({ reference: z.string(), cents: z.number().default(2_000) });
type Payment = z.infer<typeof payment>;
const transfer = z.object({ transferId: z.string(), reference: z.string() });
const transferStatus = z.object({ ...transfer.shape, status: z.string() });

/** Pays at a bank that may accept first. */
export function payLaterTool(
  { bank }: Receivers,
  name: string,
  { isKeyed = true, within = '1h' as const, hasProbe = false }: PayLaterOptions = {},
): AnyTool {
  return defineTool({
    name,
    description: 'Pays by bank transfer; the bank may answer later.',
    input: payment,
    output: transfer,
    timeout: '30s',
    effect: {
      ...(isKeyed ? { key: { retention: '24h' as const } } : {}),
      ...(hasProbe ? { probe: ({ reference }: Payment) => lookUp(bank.url, reference) } : {}),
      amount: ({ cents }: Payment) => ({ minor: cents, currency: 'EUR' }),
      pending: { within },
    },
    run: httpEffect({
      request: ({ reference, cents }) => ({
        url: `${bank.url}/transfers`,
        body: { reference, payee: 'Acme', amountMinor: cents, currency: 'EUR' },
      }),
      accepted: (body) => transfer.parse(body).transferId,
      response: (body) => transfer.parse(body),
    }),
  });
}

interface PayLaterOptions {
  readonly isKeyed?: boolean;
  readonly within?: `${number}${'s' | 'h'}`;
  readonly hasProbe?: boolean;
}

async function lookUp(bankUrl: string, reference: string) {
  const answer = await fetch(`${bankUrl}/transfers?reference=${reference}`);
  const [seen] = z.array(transferStatus).parse(await answer.json());
  if (!seen) return absent();
  return seen.status === 'applied' ? found(transfer.parse(seen)) : unclear(`it is ${seen.status}`);
}

const message = z.object({
  transferId: z.string(),
  reference: z.string(),
  status: z.enum(['pending', 'applied', 'rejected']),
  idempotencyKey: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

/** The bank's own words; payments whose reference begins with `named-` are named by the transfer alone. */
function read(body: Json): CallbackReading | null {
  const { transferId, reference, status, idempotencyKey, error } = message.parse(body);
  if (status === 'pending') return null;
  const name = reference.startsWith('named-') ? { reference: transferId } : { idempotencyKey };
  if (status === 'rejected') return { ...name, outcome: 'refused', ...error };
  return { ...name, outcome: 'applied', output: { transferId, reference } };
}

/** A test run whose bank calls back. */
export interface LaterBank extends TestRun {
  readonly secret: string;
  /** What the handler has answered. */
  readonly reports: readonly CallbackReport[];
  /** Where callbacks for a tool go. The bank calls back for `pay_later`. */
  urlOf(tool: string): string;
  /** While false, the handler's ledger does not answer. */
  setLedgerUp(isUp: boolean): void;
  /** Starts a plain workflow with one payment; its workflow id is `reference`. */
  pay(tool: string, reference: string): Promise<{ result(): Promise<unknown> }>;
  /** The payment's effect, once it is as `status` and `isPending` say. */
  effectWhen(reference: string, isAs: (effect: EffectView) => boolean): Promise<EffectView>;
  /** The writes that reached the bank for a payment. */
  sendsOf(reference: string): number;
}

/** Runs `body` beside a mounted callback handler; `tools` are the tools that the bank may call back for. */
export function withLaterBank(
  options: TestRunOptions & { readonly callsBackFor: readonly string[] },
  body: (t: LaterBank) => Promise<void>,
): Promise<void> {
  const { callsBackFor, ...rest } = options;
  const workflowsPath = join(import.meta.dirname, 'fixtures/plain-workflows.ts');
  return withTestRun({ workflowsPath, ...rest }, async (t) => {
    const secret = createWebhookSecret();
    const reports: CallbackReport[] = [];
    const down = PawlClient.open({ databaseUrl: 'postgres://pawl@127.0.0.1:1/none' });
    let isLedgerUp = true;
    const handler = createCallbackHandler({
      client: {
        receiveCallback: (given) => (isLedgerUp ? t.client : down).receiveCallback(given),
      },
      receivers: Object.fromEntries(
        callsBackFor.map((tool) => [`/callbacks/${tool}`, { tool, secrets: [secret], read }]),
      ),
      onAnswer: (report) => reports.push(report),
    });
    const server = createServer(toRequestListener(handler));
    // A connection that the server closes while the bank writes looks like a lost webhook.
    server.keepAliveTimeout = 0;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const urlOf = (tool: string): string => `http://127.0.0.1:${port}/callbacks/${tool}`;
    t.bank.sendWebhooksTo({ url: urlOf('pay_later'), secret });
    try {
      await body({
        ...t,
        secret,
        reports,
        urlOf,
        setLedgerUp: (isUp) => void (isLedgerUp = isUp),
        ...handsOf(t),
      });
    } finally {
      t.bank.sendWebhooksTo(undefined);
      server.closeAllConnections();
      await Promise.all([down.close(), new Promise((resolve) => server.close(resolve))]);
    }
  });
}

function handsOf(t: TestRun): Pick<LaterBank, 'pay' | 'effectWhen' | 'sendsOf'> {
  return {
    async pay(tool, reference) {
      const handle = await t.temporal.workflow.start('payBy', {
        workflowId: `${reference}-${t.taskQueue}`,
        taskQueue: t.taskQueue,
        args: [{ tool, runKey: `order-${reference}`, reference }],
      });
      return { result: () => handle.result() };
    },
    effectWhen: (reference, isAs) =>
      until(
        async () => {
          const effects = await t.client.effects({ limit: 1_000 });
          const isIt = ({ arguments: args }: EffectView): boolean =>
            (args as { reference?: string }).reference === reference;
          return effects.find((effect) => isIt(effect) && isAs(effect));
        },
        { what: `the payment ${reference}`, everyMs: 100 },
      ),
    sendsOf: (reference) =>
      t.bank.requests({ method: 'POST' }).filter(({ body }) => body.includes(`"${reference}"`))
        .length,
  };
}
