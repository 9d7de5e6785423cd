// The service without a durable engine: POST a batch, get its transfers; what it has done it keeps in memory.
import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Batch, Transfer } from '../invoice.ts';
import { payWithRetries } from './pay.ts';

const paid = new Map<string, Transfer>();

async function payInvoices({ invoices }: Batch, isGivenUp: () => boolean): Promise<Transfer[]> {
  const transfers: Transfer[] = [];
  for (const invoice of invoices) {
    // Whoever asked has gone and will ask again: nobody waits for the rest.
    if (isGivenUp()) break;
    const transfer = paid.get(invoice.reference) ?? (await payWithRetries(invoice));
    paid.set(invoice.reference, transfer);
    transfers.push(transfer);
  }
  return transfers;
}

async function readBatch(request: IncomingMessage): Promise<Batch> {
  return JSON.parse(await text(request)) as Batch;
}

const server = createServer((request, response) => {
  readBatch(request)
    .then((batch) => payInvoices(batch, () => response.destroyed))
    .then(
      (transfers) => response.end(JSON.stringify(transfers)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
});
server.listen(Number(process.env['PORT'] ?? 8820), '127.0.0.1', () => {
  process.stdout.write('ready\n');
});
