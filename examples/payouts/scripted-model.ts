// What the local model provider answers when no API key is set: a plausible agent, decided from the conversation alone.
import { type ModelReply, type NeutralRequest, toolResults } from 'pawl/testing';

interface Row {
  invoice: string;
  payee: string;
  amount: string;
  currency: string;
}

const BATCH = 3;

/** One answer: list, then pay three rows at a time, then notify, then report. */
export function script(request: NeutralRequest): ModelReply {
  const calls = toolResults(request);
  const listed = calls.find(({ name }) => name === 'list_invoices');
  if (!listed) {
    return {
      text: 'I start with the list.',
      toolCalls: [{ name: 'list_invoices', arguments: { file: fileOf(request) } }],
    };
  }
  const rows = (JSON.parse(listed.text) as { invoices: Row[] }).invoices;
  const payments = calls.filter(({ name }) => name === 'pay_invoice');
  const next = rows.slice(payments.length, payments.length + BATCH);
  if (next.length > 0) {
    return {
      toolCalls: next.map(({ invoice, payee, amount, currency }) => ({
        name: 'pay_invoice',
        arguments: { invoice, payee, amount, currency },
      })),
    };
  }
  const report = reportOn(rows, payments);
  if (!calls.some(({ name }) => name === 'notify')) {
    const text = `Paid: ${report.paid.join(', ')}. Skipped: ${report.skipped.map(({ invoice }) => invoice).join(', ')}.`;
    return { toolCalls: [{ name: 'notify', arguments: { subject: 'Payouts', text } }] };
  }
  return { text: JSON.stringify(report) };
}

function reportOn(rows: readonly Row[], payments: ReturnType<typeof toolResults>) {
  const paid = new Set<string>();
  const skipped = new Map<string, string>();
  rows.forEach(({ invoice }, index) => {
    const payment = payments[index];
    if (payment && !payment.isError) paid.add(invoice);
    else skipped.set(invoice, payment?.text ?? 'not tried');
  });
  return {
    paid: [...paid],
    skipped: [...skipped].map(([invoice, reason]) => ({ invoice, reason })),
  };
}

function fileOf(request: NeutralRequest): string {
  const first = request.messages[0]?.parts[0];
  if (first?.kind !== 'text') return 'invoices.csv';
  return (JSON.parse(first.text) as { file: string }).file;
}
