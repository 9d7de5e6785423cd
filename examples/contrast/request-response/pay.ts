// One payment as most services make it: fetch, a key of its own, and three attempts with exponential backoff.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { bankUrls, type Invoice, toTransferRequest, type Transfer } from '../invoice.ts';

const TIMEOUT_MS = 3_000;
const ATTEMPTS = 3;
const BACKOFF_MS = 500;

class Declined extends Error {}

/** The key is the same in all attempts of this call, as the SDKs of payment providers do it. */
export async function payWithRetries(invoice: Invoice): Promise<Transfer> {
  const key = randomUUID();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await pay(invoice, key);
    } catch (error) {
      if (error instanceof Declined || attempt === ATTEMPTS) throw error;
      await sleep(BACKOFF_MS * 2 ** (attempt - 1));
    }
  }
}

async function pay(invoice: Invoice, key: string): Promise<Transfer> {
  const answer = await fetch(`${bankUrls[invoice.bank]}/transfers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify(toTransferRequest(invoice)),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 400) throw new Declined(await answer.text());
  if (!answer.ok) throw new Error(`The bank answers ${answer.status}`);
  return (await answer.json()) as Transfer;
}
