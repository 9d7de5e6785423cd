// The fake bank's book: its transfers as a fold over the effects in its log; no I/O and no clock.
import type { EffectLine } from './receipts-log.ts';

/** A transfer as the look-ups show it. */
export interface Transfer {
  transferId: string;
  reference: string;
  payee: string;
  amountMinor: number;
  currency: string;
  status: 'pending' | 'applied' | 'rejected' | 'cancelled';
}

/** A transfer with what the bank knows besides. */
export interface BookedTransfer {
  transfer: Transfer;
  bookedAtMs: number;
  /** The line that created it: an acceptance while (and after) it is pending. */
  createdBy: EffectLine;
}

export interface BankBook {
  apply(line: EffectLine): void;
  find(transferId: string): BookedTransfer | undefined;
  list(reference?: string): BookedTransfer[];
}

export function createBankBook(): BankBook {
  const booked = new Map<string, BookedTransfer>();
  return {
    find: (transferId) => booked.get(transferId),
    list: (reference) =>
      [...booked.values()].filter(
        (b) => reference === undefined || b.transfer.reference === reference,
      ),
    apply(line) {
      if (line.effect === 'cancellation') {
        const cancelled = booked.get(String(line.details.transferId));
        if (cancelled) cancelled.transfer.status = 'cancelled';
        return;
      }
      const known = booked.get(line.receiptId);
      if (known) known.transfer.status = line.kind === 'rejection' ? 'rejected' : 'applied';
      else booked.set(line.receiptId, toBooked(line));
    },
  };
}

function toBooked(line: EffectLine): BookedTransfer {
  const transfer: Transfer = {
    transferId: line.receiptId,
    reference: line.reference,
    payee: String(line.details.payee),
    amountMinor: line.amountMinor ?? 0,
    currency: line.currency ?? '',
    status: line.kind === 'acceptance' ? 'pending' : 'applied',
  };
  return { transfer, bookedAtMs: line.atMs, createdBy: line };
}
