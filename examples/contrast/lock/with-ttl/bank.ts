// The bank as this worker knows it: a look-up by reference, and a payment.
import { bankUrl, type Payment, toTransferRequest, type Transfer } from '../payment.ts';

export async function findTransfer({ reference }: Payment): Promise<Transfer | undefined> {
  const answer = await fetch(`${bankUrl}/transfers?reference=${encodeURIComponent(reference)}`);
  const [first] = (await answer.json()) as Transfer[];
  return first;
}

export async function pay(payment: Payment): Promise<Transfer> {
  const answer = await fetch(`${bankUrl}/transfers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(toTransferRequest(payment)),
  });
  if (!answer.ok) throw new Error(`The bank answers ${answer.status}`);
  return (await answer.json()) as Transfer;
}
