// The effect engine and its tools: code that fails before, at and after its one write, and receivers that cannot be reached.
import { afterEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { createEffectEngine } from '../../activities/effects/effect-engine.ts';
import { createWire } from '../../activities/effects/wire.ts';
import { AmbiguousAnswer, httpEffect } from '../../domain/schemas/http-effect.ts';
import { found, refused } from '../../domain/schemas/outcomes.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { type LocalServer, serve, serveTcp } from '../unit/local-server.ts';
import {
  createEngineBench,
  mailTool,
  type Payment,
  paymentTool,
  type Receipt,
} from './support-engine.ts';
import { newCase, onceWith, transfer, useEngine } from './support-engine-suite.ts';
import { createHandClock } from './support-hand-clock.ts';

const at = useEngine();
/** What never left is given up after some tries. */
const UNSENT = { retry: { unsentFor: '5s' } } as const;
const servers: LocalServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

describe('a tool that fails before it writes', () => {
  it.each([
    ['rejects', () => Promise.reject(new Error('no config'))],
    [
      'throws at once',
      () => {
        throw new Error('no config');
      },
    ],
  ])('%s → retried, then a definite no; nothing was sent', async (_name, run) => {
    let runs = 0;
    const tool = onceWith(() => {
      runs += 1;
      return run();
    });
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'tool_failed',
      message: 'Error: no config',
    });
    expect(runs).toBe(4);
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'withdrawn']);
  });

  it.each([
    ['rejects', () => Promise.reject(refused('no_such_payee', 'unknown payee'))],
    [
      'throws at once',
      () => {
        throw refused('no_such_payee', 'unknown payee');
      },
    ],
  ])('%s with refused() → that no, at once', async (_name, run) => {
    const tool = onceWith(run);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'no_such_payee',
      message: 'unknown payee',
    });
  });

  it('a compensation that fails before it sends → in doubt: what was done stands, and a human is asked', async () => {
    const tool = onceWith(() => Promise.reject(new TypeError('output is null')));
    const { intent } = newCase(tool, { compensates: 'some effect' });
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'in_doubt',
      reason: expect.stringContaining('TypeError: output is null; undo it by hand, then settle'),
    });
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'doubted']);
  });

  it('arguments that no longer parse → a definite no, without a retry', async () => {
    const tool = at.keyed();
    const { intent } = newCase(tool, { arguments: { reference: 7 } });
    expect(await at.engine.attempt(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'tool_failed',
    });
  });

  it('returns without a write → in doubt: it may have written by other means', async () => {
    const tool = onceWith(() => Promise.resolve({ id: 'x' }));
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'in_doubt',
      reason: "the tool returned without a write by ctx.fetch: use it, or declare wire: 'own'",
    });
  });
});

describe('the arguments that a tool is run with', () => {
  it('a schema that transforms → what is stored and was approved, not transformed once more', async () => {
    const seen: unknown[] = [];
    const input = z.object({
      reference: z.string(),
      cents: z.number().transform((cents) => cents * 100),
    });
    const tool = at.keyed(
      (given, ctx) => {
        seen.push(given);
        return at.send(ctx, transfer(given.reference, given.cents));
      },
      { input },
    );
    const { reference, intent } = newCase(tool, {});
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
    expect(seen).toEqual([{ reference, cents: 100 }]);
    expect(at.bank.receipts({ reference })).toMatchObject([{ amountMinor: 100 }]);
  });

  it('an intent that an older build has stored → the same one, sent once', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    await at.under.ledger.intend([{ ...intent, fingerprint: 'older' }]);
    const wire = createWire({ privateNetworks: 'allow' });
    const ports = { ledger: at.under.ledger, wire, crash: () => undefined, random: () => 0.5 };
    const job = { ...at.engine.job(tool, intent), olderFingerprint: 'older' };
    expect(await createEffectEngine(ports).perform(job)).toMatchObject({ kind: 'applied' });
    expect(at.writesOf(reference)).toHaveLength(1);
  });

  it('a schema that makes a Date → a Date, for run and probe', async () => {
    const seen: unknown[] = [];
    const input = z.object({ reference: z.string(), cents: z.number(), due: z.coerce.date() });
    const tool = paymentTool({
      input,
      run: (given, ctx) => {
        seen.push((given as z.infer<typeof input>).due);
        return at
          .send(ctx, transfer(given.reference))
          .then(() => Promise.reject(new AmbiguousAnswer(200, 'lost')));
      },
      effect: {
        probe: (given) => {
          seen.push((given as z.infer<typeof input>).due);
          return Promise.resolve(found({ id: 'x' }));
        },
      },
    });
    const { reference, intent } = newCase(tool);
    const stored = { reference, cents: 100, due: '2026-01-02T00:00:00.000Z' };
    expect(await at.engine.perform(tool, { ...intent, arguments: stored })).toMatchObject({
      kind: 'applied',
    });
    expect(seen).toEqual([new Date(stored.due), new Date(stored.due)]);
  });
});

describe('a tool that writes twice', () => {
  it.each([
    [
      'one after the other',
      async (reference: string, ctx: ToolContext) => {
        await at.send(ctx, transfer(reference));
        return at.send(ctx, transfer(reference, 200));
      },
    ],
    [
      'side by side',
      async (reference: string, ctx: ToolContext) => {
        const bodies = [100, 200].map((cents) => at.send(ctx, transfer(reference, cents)));
        return (await Promise.all(bodies))[0] ?? { id: '' };
      },
    ],
    [
      'and hides the refusal',
      async (reference: string, ctx: ToolContext) => {
        const first = await at.send(ctx, transfer(reference));
        await at.send(ctx, transfer(reference, 200)).catch(() => undefined);
        return first;
      },
    ],
  ])('%s → one request on the wire, in doubt', async (_name, run) => {
    for (const make of [onceWith, at.keyed]) {
      const tool = make(({ reference }, ctx) => run(reference, ctx));
      const { reference, intent } = newCase(tool);
      expect(await at.engine.perform(tool, intent)).toMatchObject({
        kind: 'in_doubt',
        reason: 'the tool tried a second write: one effect is one write, so split the tool',
      });
      expect(at.writesOf(reference)).toHaveLength(1);
      expect(at.receiptsOf(reference)).toBe(1);
    }
  });

  it('an SDK that tries again after a refused permit → still only paused, never in doubt', async () => {
    const tool = onceWith(async ({ reference }, ctx) => {
      const once = (): Promise<Receipt> => at.send(ctx, transfer(reference));
      return once().catch(once).catch(once);
    });
    const { reference, intent } = newCase(tool);
    await at.under.ledger.intend([intent]);
    const racing = createEngineBench({
      ledger: at.under.ledger,
      // The pause comes after the first look.
      crash: (point) =>
        point === 'before-dispatch'
          ? at.under.setControl('acme', intent.runKey, { paused: true })
          : undefined,
    });
    expect(await racing.attempt(tool, intent)).toEqual({ kind: 'paused' });
    expect((await at.ledger.read(intent)).state.status).toBe('intended');
    expect(at.writesOf(reference)).toEqual([]);
  });

  it('an SDK that tries again after a refused connection → provably unsent, never in doubt', async () => {
    const closed = await serve(() => undefined);
    await closed.close();
    const tool = onceWith(async (_, ctx) => {
      const once = (): Promise<Response> => ctx.fetch(closed.url, { method: 'POST', body: 'x' });
      await once().catch(once).catch(once);
      return { id: 'x' };
    }, UNSENT);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'unreachable',
    });
    expect((await at.ledger.read(intent)).state).toMatchObject({ status: 'refused', sends: 0 });
  });
});

describe('a refusal of a resend', () => {
  it.each([401, 403, 404])(
    'the first answer is lost, the resend gets %d (a key was revoked) → says nothing of the first',
    async (status) => {
      let asked = 0;
      const server = await serveTcp((socket) =>
        socket.once('data', () => {
          asked += 1;
          if (asked === 1) socket.resetAndDestroy();
          else
            socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno`);
        }),
      );
      servers.push(server);
      const run = httpEffect<Payment, Receipt>({
        request: () => ({ url: server.url }),
        response: () => ({ id: 'x' }),
      });
      const tool = at.keyed(run);
      const { intent } = newCase(tool, { identityHash: randomUUID() });
      expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
      const second = newCase(tool, { identityHash: intent.identityHash });
      await at.under.ledger.intend([second.intent]);
      expect(await at.ledger.dispatch(second.intent)).toMatchObject({ kind: 'identity' });
    },
  );

  it('a first send that gets 401 → a definite no', async () => {
    const server = await serve((_, response) => response.writeHead(401).end('no'));
    servers.push(server);
    const run = httpEffect<Payment, Receipt>({
      request: () => ({ url: server.url }),
      response: () => ({ id: 'x' }),
    });
    const tool = at.keyed(run);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'http_401',
    });
  });
});

describe('a key of its own', () => {
  it.each([
    ['Idempotency-Key', 'order-77'],
    ['idempotency-key', '"order-77"'],
  ])('%s: %s → an error of the tool, and nothing is sent', async (name, key) => {
    const run = httpEffect<Payment, Receipt>({
      request: ({ reference }) => ({
        url: `${at.bank.url}/transfers`,
        headers: { [name]: key },
        body: { reference },
      }),
      response: () => ({ id: 'x' }),
    });
    const tool = at.keyed(run, { retry: { maximumAttempts: 1 } });
    const { reference, intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'tool_failed',
      message: expect.stringContaining('send ctx.idempotencyKey'),
    });
    expect(at.writesOf(reference)).toEqual([]);
  });
});

describe('an answer that was not expected', () => {
  it('an output that fails its schema → applied, with the problem; never sent again', async () => {
    const tool = at.keyed(async ({ reference }, ctx) => {
      await at.send(ctx, transfer(reference));
      return { id: 7 } as unknown as Receipt;
    });
    const { reference, intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'applied',
      output: { id: 7 },
      outputProblem: 'id: Invalid input: expected string, received number',
    });
    expect(at.writesOf(reference)).toHaveLength(1);
  });

  it('a tool that ignores its signal → left behind at its timeout, with the answer that the receiver gave', async () => {
    const clock = createHandClock();
    const tool = onceWith(async ({ reference }, ctx) => {
      await at.send(ctx, transfer(reference));
      clock.timeIsUp();
      return new Promise<Receipt>(() => undefined);
    });
    const { reference, intent } = newCase(tool);
    const engine = createEngineBench({ ledger: at.under.ledger, clock });
    expect(await engine.perform(tool, intent)).toMatchObject({
      kind: 'applied',
      output: null,
      outputProblem: 'the tool did not end in its time, after the receiver had answered 201',
    });
    expect(at.receiptsOf(reference)).toBe(1);
  });

  it('a lease that is shorter than the time-out → the request is aborted when the lease ends', async () => {
    const server = await serve(() => undefined);
    servers.push(server);
    const tool = mailTool(server.url, { timeout: '20s' });
    const { intent } = newCase(tool);
    const startedMs = performance.now();
    await expect(
      at.engine.perform(tool, intent, { claim: { leaseMs: 300 } }),
    ).resolves.toMatchObject({
      kind: 'in_doubt',
    });
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  });
});

describe("a tool with a wire of its own (wire: 'own')", () => {
  const own = { wire: 'own' as const };
  it('it succeeds → applied; sent from the moment it was entered', async () => {
    const seen: string[] = [];
    const tool = onceWith(async () => {
      seen.push((await at.ledger.read(intent)).state.status);
      return { id: 'x' };
    }, own);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'applied',
      output: { id: 'x' },
    });
    expect(seen).toEqual(['dispatched']);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('reset'))],
    [
      'throws at once',
      () => {
        throw new Error('reset');
      },
    ],
  ])('it %s → in doubt: it may have written', async (_name, run) => {
    const tool = onceWith(run, own);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'in_doubt',
      reason: 'sent, no definite answer, and the receiver offers nothing to ask',
    });
  });

  it('it says refused() → a definite no', async () => {
    const tool = onceWith(() => Promise.reject(refused('no')), own);
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'refused', code: 'no' });
  });

  it('the run is paused → it is never entered', async () => {
    const tool = onceWith(() => Promise.reject(new Error('entered')), own);
    const { intent } = newCase(tool);
    await at.under.setControl('acme', intent.runKey, { paused: true });
    expect(await at.engine.perform(tool, intent)).toEqual({ kind: 'paused' });
    expect(await at.ledger.kinds(intent)).toEqual(['intended']);
  });
});
