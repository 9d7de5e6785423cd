// The payouts example's look-up against the bank that it was written for.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AnyTool, probeOf } from '../../domain/schemas/define-tool.ts';
import { payInvoice } from '../../examples/payouts/tools.ts';
import { type Bank, startBank } from '../../devstack/receivers/index.ts';

let folder: string;
let bank: Bank;
let tool: AnyTool;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-payouts-probe-'));
  bank = await startBank({ logFile: join(folder, 'bank.jsonl') });
  tool = payInvoice(bank.url);
});
afterAll(async () => {
  await bank.close();
  rmSync(folder, { recursive: true });
});

function probe(invoice: string): Promise<unknown> | undefined {
  const input = { invoice, payee: 'acme', amount: '10.00', currency: 'EUR' };
  const signal = AbortSignal.timeout(5_000);
  return probeOf(tool)?.look(input, {
    read: fetch,
    idempotencyKey: 'none',
    effect: 'ef_none',
    signal,
  });
}

describe('the look-up of pay_invoice', () => {
  it('an invoice that the bank has not paid → absent', async () => {
    expect(await probe('INV-1')).toEqual({ kind: 'absent' });
  });

  it('an invoice that it has paid → found, with the transfer', async () => {
    await fetch(`${bank.url}/transfers`, {
      method: 'POST',
      body: JSON.stringify({ reference: 'INV-2', payee: 'a', amountMinor: 1_000, currency: 'EUR' }),
    });
    const [receipt] = bank.receipts();
    const output = { transferId: receipt?.receiptId, reference: 'INV-2' };
    expect(await probe('INV-2')).toEqual({ kind: 'found', output });
  });
});
