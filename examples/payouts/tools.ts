// The three tools of the payouts agent: a read, a keyed effect with an identity, and a once effect.
import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { absent, defineTool, found, httpEffect, unclear } from 'pawl';
import { z } from 'zod';

const invoiceRow = z.object({
  invoice: z.string(),
  payee: z.string(),
  amount: z.string().describe('As written on the invoice, e.g. 1250.00'),
  currency: z.string(),
  due: z.string(),
});

export const listInvoices = defineTool({
  name: 'list_invoices',
  description:
    'Lists the invoices that are due, as they stand in the file. Rows may repeat or be wrong.',
  input: z.object({ file: z.string() }),
  output: z.object({ invoices: z.array(invoiceRow) }),
  effect: 'read',
  run: async ({ file }) => {
    const rows: unknown = parse(await readFile(file, 'utf8'), { columns: true, trim: true });
    return { invoices: z.array(invoiceRow).parse(rows) };
  },
});

const payment = z.object({
  invoice: z.string(),
  payee: z.string(),
  // Up to a trillion: cents beyond 2^53 would not be exact.
  amount: z.string().regex(/^\d{1,12}\.\d{2}$/, 'an amount is written like 1250.00'),
  currency: z.string().regex(/^[A-Z]{3}$/, 'a currency is written like EUR'),
});

const transfer = z.object({ transferId: z.string(), reference: z.string() });

/** Cents, without floating point. */
function toMinor(amount: string): number {
  return Number(amount.replace('.', ''));
}

/** Keyed, with a probe: the bank honours a key for a day and can be asked by invoice afterwards. */
export const payInvoice = (bankUrl: string) =>
  defineTool({
    name: 'pay_invoice',
    description: 'Pays one invoice by bank transfer.',
    input: payment,
    output: transfer,
    effect: {
      key: { retention: '24h' },
      identity: ({ invoice }) => ['invoice', invoice],
      amount: ({ amount, currency }) => ({ minor: toMinor(amount), currency }),
      probe: async ({ invoice }, ctx) => {
        const answer = await ctx.read(
          `${bankUrl}/transfers?reference=${encodeURIComponent(invoice)}`,
        );
        if (!answer.ok) return unclear(`the bank's look-up answers ${answer.status}`);
        const [first] = z.array(transfer).parse(await answer.json());
        return first ? found(first) : absent();
      },
    },
    timeout: '10s',
    retry: { maximumAttempts: 6 },
    run: httpEffect({
      request: ({ invoice, payee, amount, currency }) => ({
        url: `${bankUrl}/transfers`,
        body: { reference: invoice, payee, amountMinor: toMinor(amount), currency },
      }),
      response: (body) => transfer.parse(body),
    }),
  });

/** Once: the mailbox honours no key and cannot be asked. */
export const notify = (mailboxUrl: string) =>
  defineTool({
    name: 'notify',
    description:
      'Sends one message to the accounting team. There is no way to take it back or to ask for it later.',
    input: z.object({ subject: z.string(), text: z.string() }),
    output: z.object({ messageId: z.string() }),
    effect: 'once',
    timeout: '5s',
    run: httpEffect({
      request: ({ subject, text }) => ({
        url: `${mailboxUrl}/messages`,
        body: { to: 'accounting@example.com', subject, text },
      }),
      response: (body) => z.object({ messageId: z.string() }).parse(body),
    }),
  });
