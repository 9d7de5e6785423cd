// What both versions are given, and the two banks as they know them.

export interface PaymentDetails {
  readonly sourceAccount: string;
  readonly targetAccount: string;
  /** Cents. */
  readonly amountMinor: number;
  /** Names the business process: minted where it began. */
  readonly referenceId: string;
}

export type Operation = 'withdraw' | 'deposit' | 'refund';

export interface Booking {
  readonly transferId: string;
}

/** A withdrawal and its refund are made at the source bank, a deposit at the target bank. */
export function toBooking(
  operation: Operation,
  details: PaymentDetails,
): { readonly url: string; readonly body: object } {
  const { sourceAccount, targetAccount, amountMinor, referenceId } = details;
  return {
    url: `${bankUrlOf(operation)}/transfers`,
    body: {
      reference: toReference(operation, referenceId),
      payee: operation === 'deposit' ? targetAccount : sourceAccount,
      amountMinor,
      currency: 'USD',
    },
  };
}

/** The reference that the bank books an operation under, and finds it by. */
export function toReference(operation: Operation, referenceId: string): string {
  return `${operation}-${referenceId}`;
}

/** Where the operation is made. */
export function bankUrlOf(operation: Operation): string {
  return operation === 'deposit'
    ? (process.env['TARGET_BANK_URL'] ?? 'http://127.0.0.1:8812')
    : (process.env['SOURCE_BANK_URL'] ?? 'http://127.0.0.1:8811');
}
