// Sends that provably never left: tried again by time, apart from the count of sends; and tools that fail among them.
import { describe, expect, it } from '@jest/globals';
import { type Mailbox, startMailbox } from '../../devstack/receivers/mailbox.ts';
import { createWire } from '../../activities/effects/wire.ts';
import { httpEffect } from '../../domain/schemas/http-effect.ts';
import { guarantee } from '../guarantee.ts';
import { serve, serveTcp } from '../unit/local-server.ts';
import { createEngineBench, mailTool, type Payment, type Receipt } from './support-engine.ts';
import { newCase, onceWith, useEngine } from './support-engine-suite.ts';

const at = useEngine();
/** What never left is given up after some tries. */
const UNSENT = { retry: { unsentFor: '5s' } } as const;

describe('a receiver that cannot be reached', () => {
  it('a closed port → retried, then a definite no: `once` is not in doubt', async () => {
    const closed = await serve(() => undefined);
    await closed.close();
    const tool = mailTool(closed.url, UNSENT);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'unreachable',
      message: 'The address could not be reached. Nothing was sent.',
    });
    const unsent = (await at.under.facts(intent)).filter(({ kind }) => kind === 'not_sent');
    expect(unsent.length).toBeGreaterThan(3);
    for (const { data } of unsent) expect(JSON.stringify(data)).toContain('ECONNREFUSED');
  });

  guarantee(
    'egress-guarded',
    'an address that tools may not reach → a definite no at the first try, and the model is told no more',
    async () => {
      for (const url of [
        'http://169.254.169.254',
        'data:application/json,{"messageId":"forged"}',
      ]) {
        const tool = mailTool(url, UNSENT);
        const { intent } = newCase(tool);
        const guarded = createEngineBench({ ledger: at.under.ledger, wire: createWire() });
        expect(await guarded.perform(tool, intent)).toMatchObject({
          kind: 'refused',
          code: 'unreachable',
          message: 'The address could not be reached. Nothing was sent.',
        });
        const [unsent] = (await at.under.facts(intent)).filter(({ kind }) => kind === 'not_sent');
        expect(JSON.stringify(unsent?.data)).toContain('PAWL_EGRESS_REFUSED');
      }
    },
  );

  guarantee(
    'unsent-is-no-send',
    'a bank that is down for longer than any number of sends, and then up → sent once, applied: time counts, not tries',
    async () => {
      const closed = await serve(() => undefined);
      await closed.close();
      const tool = mailTool(closed.url, { retry: { maximumAttempts: 1 } });
      const { reference, intent } = newCase(tool);
      let late: Mailbox | undefined;
      const outcome = await at.engine.perform(tool, intent, {
        async beforeRetry(attempt) {
          if (attempt < 7) return;
          late ??= at.scratch.closing(
            await startMailbox({ logFile: at.scratch.logFile(), port: closed.port }),
          );
        },
      });
      expect(outcome).toMatchObject({ kind: 'applied' });
      expect(late?.receipts({ reference })).toHaveLength(1);
      const unsent = (await at.ledger.kinds(intent)).filter((kind) => kind === 'not_sent');
      expect(unsent).toHaveLength(6);
      expect((await at.ledger.read(intent)).state.sends).toBe(1);
    },
  );

  guarantee(
    'unsent-is-no-send',
    'an earlier send is open, and the receiver stays away → in doubt once the time is up, never refused',
    async () => {
      const server = await serveTcp((socket) =>
        socket.once('data', () => socket.resetAndDestroy()),
      );
      const run = httpEffect<Payment, Receipt>({
        request: () => ({ url: server.url }),
        response: () => ({ id: 'x' }),
      });
      const tool = at.keyed(run, UNSENT);
      const { intent } = newCase(tool);
      const outcome = await at.engine.perform(tool, intent, { beforeRetry: () => server.close() });
      expect(outcome).toMatchObject({
        kind: 'in_doubt',
        reason: expect.stringMatching(/an earlier send is open, .* not reached for \d+ s/),
      });
      expect((await at.ledger.read(intent)).state).toMatchObject({ sends: 1 });
    },
  );

  guarantee(
    'unsent-is-no-send',
    'the time is up while a later attempt has claimed it → no doubt about the later send',
    async () => {
      const closed = await serve(() => undefined);
      await closed.close();
      const run = httpEffect<Payment, Receipt>({
        request: () => ({ url: closed.url }),
        response: () => ({ id: 'x' }),
      });
      const tool = at.keyed(run, UNSENT);
      const { intent } = newCase(tool);
      await at.under.ledger.intend([intent]);
      await at.ledger.dispatch(intent, { order: 0, leaseMs: 1 });
      const engine = createEngineBench({
        ledger: at.under.ledger,
        async crash(point) {
          if (point !== 'before-settle') return;
          await at.ledger.dispatch(intent, { order: 1_000_000 });
        },
      });
      await expect(
        engine.attempt(tool, intent, { claim: { triedForMs: 600_000 } }),
      ).rejects.toMatchObject({ message: 'a later attempt has claimed it' });
      expect(await at.ledger.kinds(intent)).not.toContain('doubted');
    },
  );

  guarantee(
    ['no-silent-retries', 'unsent-is-no-send'],
    'a tool that throws before it writes, behind tries that never left → its own limit of attempts, then a definite no',
    async () => {
      const closed = await serve(() => undefined);
      await closed.close();
      let runs = 0;
      const tool = onceWith(
        async (_, ctx) => {
          runs += 1;
          if (runs > 5) throw new TypeError('undefined is not a function');
          await ctx.fetch(closed.url, { method: 'POST', body: 'x' });
          return { id: 'x' };
        },
        { retry: { maximumAttempts: 3 } },
      );
      const { intent } = newCase(tool);
      expect(await at.engine.perform(tool, intent)).toMatchObject({
        kind: 'refused',
        code: 'tool_failed',
        message: 'TypeError: undefined is not a function',
      });
      expect(runs).toBe(5 + 3);
    },
  );

  it('it comes up before the retries end → sent once, applied', async () => {
    const closed = await serve(() => undefined);
    await closed.close();
    const tool = mailTool(closed.url);
    const { reference, intent } = newCase(tool);
    let late: Mailbox | undefined;
    const outcome = await at.engine.perform(tool, intent, {
      async beforeRetry() {
        late ??= at.scratch.closing(
          await startMailbox({ logFile: at.scratch.logFile(), port: closed.port }),
        );
      },
    });
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect(late?.receipts({ reference })).toHaveLength(1);
  });
});
