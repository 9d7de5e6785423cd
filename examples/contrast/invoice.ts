// What both workers are given and give back; the same for both.

export interface Invoice {
  /** `north` honours idempotency keys; `south` ignores them and can only be asked by reference. */
  readonly bank: 'north' | 'south';
  readonly reference: string;
  readonly payee: string;
  readonly amountMinor: number;
  readonly currency: string;
}

export interface Transfer {
  readonly transferId: string;
  readonly reference: string;
}

/** The workflow's input. `batch` names the business process: minted where it began, never by Temporal. */
export interface Batch {
  readonly batch: string;
  readonly invoices: readonly Invoice[];
}

/** What the banks are sent. */
export function toTransferRequest({ reference, payee, amountMinor, currency }: Invoice): object {
  return { reference, payee, amountMinor, currency };
}

export const bankUrls = {
  north: process.env['NORTH_BANK_URL'] ?? 'http://127.0.0.1:8811',
  south: process.env['SOUTH_BANK_URL'] ?? 'http://127.0.0.1:8812',
} as const;
