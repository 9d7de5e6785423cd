// The proof of the demonstration: what the bank's own receipts log says, next to what the ledger says.
import Table from 'cli-table3';
import type { EffectView } from '../../client/index.ts';
import type { ReceiptLine, RequestLine } from '../receivers/index.ts';

export interface Evidence {
  readonly invoices: readonly string[];
  readonly receipts: readonly ReceiptLine[];
  readonly requests: readonly RequestLine[];
  readonly effects: readonly EffectView[];
  /** Calls that never became an effect: forbidden or invalid, by invoice. */
  readonly refusals: ReadonlyMap<string, string>;
}

export interface InvoiceLine {
  readonly invoice: string;
  readonly receipts: number;
  readonly sends: number;
  /** Every send of the invoice carried the same key and the same bytes. */
  readonly isOneRequest: boolean;
  readonly ledger: string;
  readonly agrees: boolean;
}

/** One line per invoice: they agree when the bank paid once exactly where the ledger says `applied`. */
export function compare(evidence: Evidence): readonly InvoiceLine[] {
  return [...new Set(evidence.invoices)].map((invoice) => compareOne(evidence, invoice));
}

function compareOne(evidence: Evidence, invoice: string): InvoiceLine {
  const receipts = evidence.receipts.filter(({ reference }) => reference === invoice).length;
  const sent = evidence.requests.filter(
    ({ method, path, body }) =>
      method === 'POST' && path.startsWith('/transfers') && referenceOf(body) === invoice,
  );
  const effects = evidence.effects.filter(
    ({ tool, arguments: input }) => tool === 'pay_invoice' && invoiceOf(input) === invoice,
  );
  const applied = effects.filter(({ status }) => status === 'applied').length;
  const isOpen = effects.some(({ status }) => status === 'dispatched' || status === 'in_doubt');
  const isOneRequest =
    new Set(sent.map(({ idempotencyKey, bodySha256 }) => `${idempotencyKey} ${bodySha256}`)).size <=
    1;
  return {
    invoice,
    receipts,
    sends: sent.length,
    isOneRequest,
    ledger: describeLedger(effects, evidence.refusals.get(invoice)),
    agrees: !isOpen && isOneRequest && receipts === (applied > 0 ? 1 : 0),
  };
}

function describeLedger(effects: readonly EffectView[], refusal: string | undefined): string {
  const [first, ...others] = effects;
  if (!first) return refusal ?? 'no effect';
  const again = others.length > 0 ? ` (asked ${effects.length} times)` : '';
  return `${first.status}${first.code ? ` ${first.code}` : ''}${again}`;
}

function referenceOf(body: string): string {
  try {
    return String((JSON.parse(body) as { reference?: unknown }).reference);
  } catch {
    return '';
  }
}

/** The invoice of a call's arguments. */
export function invoiceOf(input: unknown): string {
  return String((input as { invoice?: unknown } | null)?.invoice ?? '');
}

/** The table as text. */
export function renderTable(lines: readonly InvoiceLine[]): string {
  const table = new Table({
    head: ['invoice', "bank's receipts", 'sends on the wire', 'same key + bytes', 'ledger', ''],
    style: { head: [], border: [] },
  });
  for (const line of lines) {
    const same = line.sends > 1 ? (line.isOneRequest ? 'yes' : 'NO') : '';
    const verdict = line.agrees ? 'ok' : 'DISAGREES';
    table.push([line.invoice, line.receipts, line.sends, same, line.ledger, verdict]);
  }
  return table.toString();
}
