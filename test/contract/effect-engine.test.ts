// The effect engine over time: resends, identity, pause and cancel, zombies, and a ledger in trouble.
import { guarantee } from '../guarantee.ts';
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { CrashPoint } from '../../activities/effects/crash-points.ts';
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import type { EffectLedger } from '../../activities/ledger/effect-ledger.ts';
import {
  bankProbe,
  bankTool,
  createEngineBench,
  type EngineBench,
  intentOf,
  mailTool,
  type Payment,
} from './support-engine.ts';
import { newCase, onceWith, transfer, useEngine } from './support-engine-suite.ts';
import { createGate, type Gate } from './support-gates.ts';

const at = useEngine();

describe('the bytes of a resend', () => {
  guarantee(
    'law-03-own-the-wire',
    'code and secrets that changed in between → the key and body of the first send, byte for byte',
    async () => {
      let deploy = 0;
      const tool = at.keyed(async ({ reference }, ctx) => {
        deploy += 1;
        return at.send(ctx, transfer(reference, 100 * deploy));
      });
      const { reference, intent } = newCase(tool);
      at.bank.addMode({ reference }, 'commit-then-reset', { times: 1 });
      const outcome = await at.engine.perform(tool, intent);
      expect(outcome).toMatchObject({ kind: 'applied', alreadyApplied: false });
      const [first, second, ...more] = at.writesOf(reference);
      expect(more).toEqual([]);
      expect(second).toMatchObject({
        body: transfer(reference, 100),
        bodySha256: first?.bodySha256,
        idempotencyKey: first?.idempotencyKey,
      });
      expect(first?.idempotencyKey).toBe((await at.ledger.read(intent)).wireKey);
      expect(at.receiptsOf(reference)).toBe(1);
    },
  );

  it('performed again after its outcome → the recorded one, no request', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    const first = await at.engine.perform(tool, intent);
    expect(await at.engine.perform(tool, intent)).toEqual(first);
    expect(at.writesOf(reference)).toHaveLength(1);
  });

  it('the same step with other arguments → Effect.ArgumentsDiffer, nothing sent', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    await at.engine.perform(tool, intent);
    const changed = { ...intent, fingerprint: 'other' };
    await expect(at.engine.attempt(tool, changed)).rejects.toMatchObject({
      type: 'Effect.ArgumentsDiffer',
      nonRetryable: true,
      message: expect.stringContaining('was intended with other arguments'),
    });
    expect(at.writesOf(reference)).toHaveLength(1);
  });
});

describe('identity', () => {
  guarantee(
    'identity-once',
    '20 runs ask for the same refund at once → one receipt, twenty times its outcome',
    async () => {
      const tool = at.keyed();
      const input: Payment = { reference: `INV-${randomUUID()}`, cents: 100 };
      const identityHash = randomUUID();
      const intents = Array.from({ length: 20 }, () => intentOf(tool, input, { identityHash }));
      const outcomes = await Promise.all(intents.map((intent) => at.engine.perform(tool, intent)));
      expect(at.receiptsOf(input.reference)).toBe(1);
      expect(at.writesOf(input.reference)).toHaveLength(1);
      const outputs = outcomes.map(
        (outcome) => outcome.kind === 'applied' && JSON.stringify(outcome.output),
      );
      expect(new Set(outputs).size).toBe(1);
      expect(
        outcomes.filter((outcome) => outcome.kind === 'applied' && outcome.alreadyApplied),
      ).toHaveLength(19);
      const records = await Promise.all(intents.map((intent) => at.ledger.read(intent)));
      const first = records.find(({ state }) => state.sends === 1);
      const adopted = records.filter((record) => record !== first);
      expect(new Set(adopted.map(({ sameAs }) => sameAs))).toEqual(new Set([first?.shortId]));
    },
  );

  it('the same refund with another amount, in a plain workflow → refused: identity_conflict', async () => {
    const tool = at.keyed();
    const identityHash = randomUUID();
    const first = newCase(tool, { identityHash });
    await at.engine.perform(tool, first.intent);
    const second = newCase(tool, { identityHash });
    expect(await at.engine.perform(tool, second.intent)).toMatchObject({
      kind: 'refused',
      code: 'identity_conflict',
      message: `the same intention was applied with other arguments by ${first.intent.shortId}`,
    });
    expect(at.writesOf(second.reference)).toEqual([]);
  });

  it('settled as applied by a human, never sent by us → not another call’s outcome', async () => {
    const tool = onceWith(() => Promise.resolve({ id: 'x' }));
    const { intent } = newCase(tool);
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
    await at.under.settle(intent, { id: 's1', outcome: 'applied', output: { id: 'y' } });
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'applied',
      output: { id: 'y' },
      alreadyApplied: false,
    });
  });
});

describe('pause and cancel', () => {
  it('paused before the send → paused, nothing sent; resumed → sent', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    await at.under.setControl('acme', intent.runKey, { paused: true });
    expect(await at.engine.perform(tool, intent)).toEqual({ kind: 'paused' });
    expect(at.writesOf(reference)).toEqual([]);
    await at.under.setControl('acme', intent.runKey, {});
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
    expect(at.receiptsOf(reference)).toBe(1);
  });

  it('paused with an open send → no resend', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    at.bank.addMode({ reference }, 'commit-then-reset', { times: 1 });
    const beforeRetry = (): Promise<void> =>
      at.under.setControl('acme', intent.runKey, { paused: true });
    expect(await at.engine.perform(tool, intent, { beforeRetry })).toEqual({ kind: 'paused' });
    expect(at.writesOf(reference)).toHaveLength(1);
  });

  it('paused with an open send and a probe → it asks, and is not in anybody’s way', async () => {
    const tool = bankTool(at.bank.url, { effect: { probe: bankProbe(at.bank.url) } });
    const { reference, intent } = newCase(tool);
    at.bank.addMode({ reference }, 'commit-then-reset', { times: 1 });
    const beforeRetry = (): Promise<void> =>
      at.under.setControl('acme', intent.runKey, { paused: true });
    expect(await at.engine.perform(tool, intent, { beforeRetry })).toMatchObject({
      kind: 'applied',
    });
    expect(at.writesOf(reference)).toHaveLength(1);
  });

  it('cancelled before the send → refused: cancelled', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    await at.under.setControl('acme', intent.runKey, { cancelled: true });
    expect(await at.engine.perform(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'cancelled',
    });
    expect(at.writesOf(reference)).toEqual([]);
  });

  guarantee('law-09-cancel', 'cancelled with an open send → settled all the same', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    at.bank.addMode({ reference }, 'commit-then-reset', { times: 1 });
    const beforeRetry = (): Promise<void> =>
      at.under.setControl('acme', intent.runKey, { cancelled: true });
    expect(await at.engine.perform(tool, intent, { beforeRetry })).toMatchObject({
      kind: 'applied',
    });
    expect(at.receiptsOf(reference)).toBe(1);
  });
});

/** An engine that stops at one crash point, the first time that it passes. */
function freezing(point: CrashPoint): { engine: EngineBench; gate: Gate } {
  const gate = createGate();
  let isFirst = true;
  const frozen = createEngineBench({
    ledger: at.under.ledger,
    crash: (reached) => {
      if (reached !== point || !isFirst) return undefined;
      isFirst = false;
      return gate.pass();
    },
  });
  return { engine: frozen, gate };
}

describe('a zombie', () => {
  guarantee(
    'law-04-facts',
    'frozen before the permit, the next attempt has finished → it sends nothing, and says the same',
    async () => {
      const tool = mailTool(at.mailbox.url);
      const { reference, intent } = newCase(tool);
      const zombie = freezing('before-dispatch');
      const old = zombie.engine.attempt(tool, intent);
      await zombie.gate.reached;
      const outcome = await at.engine.perform(tool, intent);
      zombie.gate.open();
      expect(await old).toEqual(outcome);
      expect(at.writesOf(reference)).toHaveLength(1);
    },
  );

  it('frozen between permit and write, past its lease → it sends nothing; its "not sent" is kept', async () => {
    const tool = mailTool(at.mailbox.url);
    const { reference, intent } = newCase(tool);
    const zombie = freezing('before-send');
    const old = zombie.engine.attempt(tool, intent, { claim: { leaseMs: 150 } });
    await zombie.gate.reached;
    await at.ledger.leaseEnds(intent);
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
    zombie.gate.open();
    await old;
    expect(at.writesOf(reference)).toEqual([]);
    expect(await at.ledger.kinds(intent)).toEqual([
      'intended',
      'dispatched',
      'doubted',
      'not_sent',
    ]);
  });

  it('a keyed zombie, frozen between permit and write → the next attempt pays, the zombie sends nothing', async () => {
    const tool = at.keyed(undefined, { timeout: '20s' });
    const { reference, intent } = newCase(tool);
    const zombie = freezing('before-send');
    const old = zombie.engine.attempt(tool, intent, { claim: { leaseMs: 150 } });
    await zombie.gate.reached;
    await at.ledger.leaseEnds(intent);
    const outcome = await at.engine.perform(tool, intent);
    zombie.gate.open();
    expect(await old).toEqual(outcome);
    expect(at.writesOf(reference)).toHaveLength(1);
    expect((await at.ledger.read(intent)).state).toEqual({
      status: 'applied',
      sends: 1,
      absents: 0,
      conflict: false,
    });
  });

  it('frozen after the answer, its effect in doubt meanwhile → its late answer settles it', async () => {
    const tool = mailTool(at.mailbox.url);
    const { reference, intent } = newCase(tool);
    const zombie = freezing('before-settle');
    const old = zombie.engine.attempt(tool, intent);
    await zombie.gate.reached;
    // Its lease, and not its time-out: the answer has come.
    await at.under.pass(intent, 60_000);
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'in_doubt' });
    zombie.gate.open();
    expect(await old).toMatchObject({ kind: 'applied' });
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
    expect(at.receiptsOf(reference)).toBe(1);
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'doubted', 'applied']);
  });

  it('its tool fails before the write while the next attempt is on the wire → no false doubt', async () => {
    const gate = createGate();
    let isFirst = true;
    const tool = onceWith(async ({ reference }, ctx) => {
      if (isFirst) {
        isFirst = false;
        await gate.pass();
        throw new Error('no config');
      }
      return at.send(ctx, transfer(reference));
    });
    const { reference, intent } = newCase(tool);
    at.bank.addMode({ reference }, 'slow', { delayMs: 500 });
    const old = at.engine.perform(tool, intent, { claim: { attempt: 4 } });
    await gate.reached;
    const next = at.engine.perform(tool, intent);
    for (;;) if (at.writesOf(reference).length > 0 || !(await at.ledger.read(intent))) break;
    gate.open();
    expect(await next).toMatchObject({ kind: 'applied' });
    expect(await old).toMatchObject({ kind: 'applied' });
    expect(at.receiptsOf(reference)).toBe(1);
  });
});

describe('a ledger in trouble', () => {
  const down = (): Promise<never> => Promise.reject(new LedgerUnavailable(new Error('gone')));
  const broken = (change: Partial<EffectLedger>): EngineBench =>
    createEngineBench({ ledger: { ...at.under.ledger, ...change } });

  it('down at the first look → tried again later, by name', async () => {
    const tool = at.keyed();
    const { intent } = newCase(tool);
    await expect(broken({ begin: down }).attempt(tool, intent)).rejects.toMatchObject({
      name: 'ApplicationFailure',
      type: 'Ledger.Unavailable',
      nonRetryable: false,
      nextRetryDelay: expect.any(Number),
    });
  });

  it('down at the permit → nothing is sent, tried again later', async () => {
    const tool = mailTool(at.mailbox.url);
    const { reference, intent } = newCase(tool);
    await expect(broken({ dispatch: down }).attempt(tool, intent)).rejects.toMatchObject({
      type: 'Ledger.Unavailable',
      nonRetryable: false,
    });
    expect(at.writesOf(reference)).toEqual([]);
  });

  guarantee(
    'law-05-write-ahead',
    'down after a definite answer → the outcome travels through history',
    async () => {
      const tool = mailTool(at.mailbox.url);
      const { reference, intent } = newCase(tool);
      const outcome = await broken({ append: down }).attempt(tool, intent);
      const [receipt] = at.mailbox.receipts({ reference });
      expect(outcome).toEqual({
        kind: 'unrecorded',
        effect: intent.id,
        facts: [{ kind: 'applied', source: 'response', output: { id: receipt?.receiptId } }],
        fence: 1,
      });
    },
  );

  it('down after an ambiguous answer → there is no outcome to carry: tried again later', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    at.bank.addMode({ reference }, 'commit-then-reset', { times: 1 });
    await expect(broken({ append: down }).attempt(tool, intent)).rejects.toMatchObject({
      type: 'Ledger.Unavailable',
    });
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
    expect(at.receiptsOf(reference)).toBe(1);
  });

  it('down for a moment after the answer → recorded when it is back', async () => {
    const tool = mailTool(at.mailbox.url);
    const { intent } = newCase(tool);
    let calls = 0;
    const append: EffectLedger['append'] = (...call) => {
      calls += 1;
      return calls < 3 ? down() : at.under.ledger.append(...call);
    };
    expect(await broken({ append }).attempt(tool, intent)).toMatchObject({ kind: 'applied' });
  });

  guarantee(
    'law-12-rolled-back',
    'older than what the run has seen → Ledger.RolledBack, nothing sent',
    async () => {
      const tool = at.keyed();
      const { reference, intent } = newCase(tool);
      await expect(at.engine.attempt(tool, intent, { seqSeen: 1 })).rejects.toMatchObject({
        type: 'Ledger.RolledBack',
        nonRetryable: true,
        message: expect.stringContaining('it has seen sequence 1, the ledger holds 0'),
      });
      expect(at.writesOf(reference)).toEqual([]);
    },
  );

  it('the limit of calls is used → refused: limit_reached', async () => {
    const tool = at.keyed(undefined, { limits: { callsPerRun: 1 } });
    const first = newCase(tool);
    await at.engine.perform(tool, first.intent);
    const { runKey, rootKey } = first.intent;
    const second = newCase(tool, { runKey, rootKey });
    expect(await at.engine.perform(tool, second.intent)).toMatchObject({
      kind: 'refused',
      code: 'limit_reached',
      message: 'pay may be called 1 times in a run, and was',
    });
    expect(at.writesOf(second.reference)).toEqual([]);
  });
});
