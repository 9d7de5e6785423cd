// The effect engine where words come late or are not enough: late answers, 422, a holder in doubt, rotated credentials.
import { describe, expect, it } from '@jest/globals';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';
import { httpEffect } from '../../domain/schemas/http-effect.ts';
import type { Payment } from './support-engine.ts';
import { newCase, onceWith, transfer, useEngine } from './support-engine-suite.ts';

const at = useEngine();

describe('an answer that comes after the tool was left behind', () => {
  guarantee(
    'law-04-facts',
    'a tool that answers late → in doubt first, then applied by its own word',
    async () => {
      let answer: (receipt: { id: string }) => void = () => undefined;
      const late = new Promise<{ id: string }>((resolve) => (answer = resolve));
      const tool = onceWith(() => late, { wire: 'own', timeout: '200ms' });
      const { intent } = newCase(tool);
      expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
      answer({ id: 'late' });
      const record = await until(async () => {
        const now = await at.ledger.read(intent);
        return now.state.status === 'applied' ? now : undefined;
      });
      expect(record.output).toEqual({ id: 'late' });
    },
  );
});

describe('a receiver that knows the key with another body', () => {
  guarantee('S2-08', '422 → one send, in doubt at once: asking again cannot help', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    await at.under.ledger.intend([intent]);
    const { wireKey } = await at.ledger.read(intent);
    await at.takeKey(wireKey);
    const outcome = await at.engine.perform(tool, intent);
    expect(outcome).toMatchObject({ kind: 'in_doubt', reason: expect.stringContaining('422') });
    expect(at.writesOf(reference)).toHaveLength(1);
    expect(at.receiptsOf(reference)).toBe(0);
  });
});

describe('the same intention while the first one is in doubt', () => {
  guarantee(
    'law-02-identity',
    'the second → in doubt behind it in one attempt, nothing sent',
    async () => {
      const sameIdentity = { identityHash: 'late-suite' };
      const first = onceWith(() => Promise.reject(new Error('reset')), {
        wire: 'own',
      });
      expect(await at.engine.perform(first, newCase(first, sameIdentity).intent)).toMatchObject({
        kind: 'in_doubt',
      });
      let runs = 0;
      const second = onceWith(
        () => {
          runs += 1;
          return Promise.resolve({ id: 'x' });
        },
        { wire: 'own' },
      );
      const { intent } = newCase(second, sameIdentity);
      expect(await at.engine.attempt(second, intent)).toMatchObject({
        kind: 'in_doubt',
        reason: expect.stringMatching(/^waits for ef_.* \(in_doubt\): the same intention$/),
      });
      expect(runs).toBe(0);
      expect((await at.ledger.read(intent)).state.status).toBe('intended');
    },
  );
});

describe('a credential', () => {
  it('rotated between two sends → never stored, and the resend carries the new one', async () => {
    const sent = ['old-key', 'new-key'];
    const tool = at.keyed((input, ctx) => {
      const signed: typeof fetch = (url, init) =>
        ctx.fetch(url, {
          ...init,
          headers: {
            ...(init?.headers as Record<string, string>),
            authorization: sent.shift() ?? '',
          },
        });
      return at.send({ ...ctx, fetch: signed }, transfer(input.reference, input.cents));
    });
    const { reference, intent } = newCase(tool);
    at.bank.addMode({ reference }, 'commit-then-reset', { times: 1 });
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
    const stored = await at.under.ledger.request(intent.tenant, intent.id);
    expect(JSON.stringify(stored)).not.toContain('old-key');
    const credentials = at.writesOf(reference).map(({ headers }) => headers['authorization']);
    expect(new Set(credentials).size).toBe(2);
    expect(at.receiptsOf(reference)).toBe(1);
  });
});

describe('a no from the door, on a resend', () => {
  guarantee(
    'law-06-ambiguous',
    'the first send was done and its answer lost; the second is turned away with 429 → applied, not refused',
    async () => {
      const pay = httpEffect({
        request: ({ reference, cents }: Payment) => ({
          url: `${at.bank.url}/transfers`,
          body: { reference, payee: 'Acme', amountMinor: cents, currency: 'EUR' },
        }),
        response: (body) => ({ id: (body as { transferId: string }).transferId }),
        refusals: [429],
      });
      const tool = at.keyed(pay);
      const { reference, intent } = newCase(tool);
      at.bank.addMode(reference, 'commit-then-reset', { times: 1 });
      at.bank.addMode(reference, '429', { times: 1, retryAfterSeconds: 0 });
      expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
      expect(at.writesOf(reference)).toHaveLength(3);
      expect(at.receiptsOf(reference)).toBe(1);
    },
  );
});
