// Payments at the bank through the real engine, and `pawl reconcile` on the bank's own statement: what was believed against what was done.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { runCli } from '../../client/cli/program.ts';
import type { ReconcileReport } from '../../client/index.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import { guarantee } from '../guarantee.ts';
import { intentOf, type PaymentTool } from './support-engine.ts';
import { onceWith, transfer, useEngine } from './support-engine-suite.ts';

const at = useEngine();
const amount = { minor: 100, currency: 'EUR' };

async function pay(tool: PaymentTool, reference = `INV-${randomUUID()}`): Promise<void> {
  const intent = intentOf(tool, { reference, cents: 100 }, { amount });
  await at.engine.perform(tool, intent);
}

async function pawl(...argv: readonly string[]) {
  const env = {
    DATABASE_URL: at.under.url,
    PAWL_TENANT: 'acme',
    TEMPORAL_ADDRESS: '127.0.0.1:1',
  };
  const io = createFakeIo({ env });
  const code = await runCli(argv, io);
  return { code, out: io.stdout(), err: io.stderr() };
}

/** `pawl reconcile` on what the bank's `GET /receipts` answers, as JSON or as a CSV. */
async function reconcile(format: 'json' | 'csv', ...options: readonly string[]) {
  const file = `${at.scratch.logFile()}.${format}`;
  const answer = await fetch(`${at.bank.url}/receipts`);
  const text = await answer.text();
  writeFileSync(file, format === 'json' ? text : toCsv(JSON.parse(text) as Receipt[]));
  return pawl('reconcile', file, '--tool', 'pay', '--grace', '0s', ...options);
}

interface Receipt {
  readonly receiptId: string;
  readonly idempotencyKey?: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly atMs: number;
}

function toCsv(receipts: readonly Receipt[]): string {
  const rows = receipts.map(({ receiptId, idempotencyKey = '', amountMinor, currency, atMs }) => {
    const amount = (amountMinor / 100).toFixed(2);
    return [receiptId, idempotencyKey, amount, currency, new Date(atMs).toISOString()].join(';');
  });
  return ['Transfer ID;Idem;Amount;Currency;Booked at', ...rows, ''].join('\r\n');
}

const ALWAYS = ['--from', '2020-01-01', '--to', '2100-01-01', '--match', 'receiptId=output.id'];

describe('payments at the bank', () => {
  it('all done, one after a lost answer → they agree, as JSON and as a CSV of other columns', async () => {
    const keyed = at.keyed();
    for (let count = 0; count < 4; count += 1) await pay(keyed);
    at.bank.addMode({ reference: 'INV-resent' }, 'commit-then-reset', { times: 1 });
    await pay(keyed, 'INV-resent');
    const json = await reconcile('json');
    expect([json.code, json.err]).toEqual([0, '']);
    expect(json.out).toMatch(/^5 receipts, 5 effects: they agree\n$/m);
    const csv = await reconcile('csv', '--columns', 'key=Idem', '--delimiter', ';');
    expect([csv.code, csv.err]).toEqual([0, '']);
    expect(csv.out).toMatch(/^5 receipts, 5 effects: they agree\n$/m);
  });

  guarantee(
    'statement-two-way',
    'a doubt, a foreign transfer, a payment that only we believe in → each is told; the doubt is settled with the printed command',
    async () => {
      at.bank.addMode({ reference: 'INV-doubt' }, 'commit-then-reset', { times: 1 });
      await pay(
        onceWith((input, ctx) => at.send(ctx, transfer(input.reference)), { effect: 'once' }),
        'INV-doubt',
      );
      const headers = { 'content-type': 'application/json', 'idempotency-key': 'foreign' };
      const body = transfer('INV-foreign', 700);
      await fetch(`${at.bank.url}/transfers`, { method: 'POST', headers, body });
      await pay(
        at.keyed(() => Promise.resolve({ id: 'tr_believed' }), { wire: 'own' }),
        'INV-believed',
      );
      const { code, out } = await reconcile('json', ...ALWAYS, '--json');
      const report = JSON.parse(out) as ReconcileReport;
      expect([code, report.agrees]).toEqual([1, false]);
      expect(report.findings).toMatchObject([
        { kind: 'unknown-to-receiver', effect: { status: 'applied' }, receipts: [] },
        { kind: 'unknown-to-ledger', effect: null, receipts: [{ reference: 'INV-foreign' }] },
        { kind: 'doubt-answered', receipts: [{ reference: 'INV-doubt' }] },
      ]);
      const { command } = report.findings[2] ?? {};
      const settled = await pawl(...toWords(command ?? '').slice(1), '--as', 'ada');
      expect(settled).toMatchObject({ code: 0, err: '' });
      expect(settled.out).toMatch(
        /^Settled ef_\w+ \(pay\) as applied by ada: statement line \d+: /,
      );
      const again = await pawl(...toWords(command ?? '').slice(1), '--as', 'ada');
      expect(again.out).toMatch(/^Already settled ef_\w+ \(pay\) as applied by ada at 20/);
    },
  );
});

/** The words of a command, as a shell would split it. */
function toWords(command: string): readonly string[] {
  const words = command.matchAll(/'([^']*)'|(\S+)/g);
  return [...words].map(([, quoted, plain]) => quoted ?? plain ?? '');
}
