// The task of both workers: one payment at a bank that ignores idempotency keys and can be asked by reference.

export interface Payment {
  readonly reference: string;
  readonly payee: string;
  readonly amountMinor: number;
  readonly currency: string;
}

export interface Transfer {
  readonly transferId: string;
  readonly reference: string;
}

export const bankUrl = process.env['BANK_URL'] ?? 'http://127.0.0.1:8812';

/** What the bank is sent. */
export function toTransferRequest({ reference, payee, amountMinor, currency }: Payment): object {
  return { reference, payee, amountMinor, currency };
}
