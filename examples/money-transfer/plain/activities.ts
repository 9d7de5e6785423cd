// The three activities; the reference goes to the bank with each call, here also as the idempotency key.
import { ApplicationFailure } from '@temporalio/common';
import { type Booking, type Operation, type PaymentDetails, toBooking } from '../transfer.ts';

const TIMEOUT_MS = 5_000;

export function withdraw(details: PaymentDetails): Promise<string> {
  return book('withdraw', details);
}

export function deposit(details: PaymentDetails): Promise<string> {
  return book('deposit', details);
}

export function refund(details: PaymentDetails): Promise<string> {
  return book('refund', details);
}

async function book(operation: Operation, details: PaymentDetails): Promise<string> {
  const { url, body } = toBooking(operation, details);
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'idempotency-key': `${operation}-${details.referenceId}`,
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 400) {
    throw ApplicationFailure.nonRetryable(await answer.text(), 'InvalidAccountError');
  }
  if (!answer.ok) throw new Error(`The bank answers ${answer.status}`);
  return ((await answer.json()) as Booking).transferId;
}
