// One effect whose outcome nobody can know: in doubt, shown to a human, never sent again by a guess.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { type LocalServer, serve } from '../unit/local-server.ts';
import { createLane } from './fixtures/lane.ts';
import {
  createPayments,
  expectOneEffect,
  expectSameRequest,
  failureOf,
  payment,
} from './fixtures/payments.ts';
import {
  createWorld,
  eventually,
  type StartedEffect,
  type World,
  writesFor,
} from './fixtures/world.ts';

const TEST_MS = 360_000;
const lane = createLane(4);
let gateway: LocalServer;
let world: World;
const { dieAt, takeOver, takeOverIntoDoubt, receiptsOf } = createPayments(() => world);

beforeAll(async () => {
  gateway = await startGateway();
  world = await createWorld({ gatewayUrl: gateway.url, toolSeconds: 4 });
  await world.startSurvivor();
  lane.start();
}, 180_000);
afterAll(async () => {
  await world.close();
  await gateway.close();
});

describe('a receiver with neither key nor look-up', () => {
  const doubtful = lane.plan(async () => {
    const started = await dieAt('after-send', 'send_once', { subject: 'doubtful' }, 'doubtful');
    const effect = await takeOverIntoDoubt(started);
    const doubts = await world.pawl.doubts();
    await world.pawl.settle(effect.effect, {
      outcome: 'applied',
      output: { messageId: 'found-by-hand' },
      evidence: 'it is in the sent folder',
      by: 'olga',
    });
    const result: unknown = await started.handle.result();
    return { effect, doubts, result, writes: writesFor(world.mailbox, 'doubtful') };
  });
  guarantee(
    'F-05',
    'the worker dies after the send → in doubt, never sent again; a human settles it as applied and the workflow goes on',
    async () => {
      const { effect, doubts, result, writes } = await doubtful;
      expect(effect).toMatchObject({ sends: 1, contract: 'once' });
      expect(doubts.map((doubt) => doubt.effect)).toContain(effect.effect);
      expect(result).toEqual({ messageId: 'found-by-hand' });
      expect(writes).toHaveLength(1);
    },
    TEST_MS,
  );

  const denied = lane.plan(async () => {
    world.mailbox.setMode('silent', 'hang-before-commit');
    const started = await world.startEffect({ tool: 'send_once', input: { subject: 'silent' } });
    const effect = await takeOverIntoDoubt(started);
    const evidence = 'not in the sent folder, and the mailbox was down';
    await world.pawl.settle(effect.effect, { outcome: 'not_applied', evidence, by: 'olga' });
    const failure = await failureOf(started);
    return { failure, writes: writesFor(world.mailbox, 'silent') };
  });
  guarantee(
    'F-05',
    'the send times out → one send, in doubt; a human settles it as not applied and the workflow gets Effect.Refused',
    async () => {
      const { failure, writes } = await denied;
      expect(failure.type).toBe('Effect.Refused');
      expect(failure.message).toContain('not in the sent folder');
      expect(writes).toHaveLength(1);
    },
    TEST_MS,
  );
});

describe('a look-up that cannot tell', () => {
  const unclear = lane.plan(async () => {
    const started = await dieAt('after-send', 'pay_unclear', payment('unclear'), 'unclear');
    const effect = await takeOverIntoDoubt(started);
    return { effect, writes: writesFor(world.bank, 'unclear') };
  });
  guarantee(
    'F-05',
    'the look-up cannot tell → in doubt with its reason, one send',
    async () => {
      const { effect, writes } = await unclear;
      expect(effect.reason).toContain('the look-up is down');
      expect(writes).toHaveLength(1);
    },
    TEST_MS,
  );
});

describe('a key is not enough', () => {
  /** The clock of the key is moved in the ledger: the first send happened 25 hours ago. */
  async function letADayPass({ runKey }: StartedEffect): Promise<void> {
    await world.sql(
      `update pawl.effects set first_sent_at = first_sent_at - interval '25 hours' where run_key = $1`,
      [runKey],
    );
  }

  const expired = lane.plan(async () => {
    world.bank.setMode('expired', 'key-expiry');
    const started = await dieAt('after-send', 'pay_keyed', payment('expired'), 'expired');
    await letADayPass(started);
    const effect = await takeOverIntoDoubt(started);
    return { effect, receipts: receiptsOf('expired'), writes: writesFor(world.bank, 'expired') };
  });
  guarantee(
    'S2-08',
    'the retention has passed before the retry and nothing can be asked → in doubt, not sent again',
    async () => {
      const { effect, receipts, writes } = await expired;
      expect(effect.reason).toContain('no longer honours the key');
      expect([receipts.length, writes.length]).toEqual([1, 1]);
    },
    TEST_MS,
  );

  const expiredFound = lane.plan(async () => {
    world.bank.setMode('expired-found', 'key-expiry');
    const started = await dieAt(
      'after-send',
      'pay_keyed_with_probe',
      payment('expired-found'),
      'expired-found',
    );
    await letADayPass(started);
    return takeOver(started);
  });
  guarantee(
    'S2-08',
    'the retention has passed and the look-up finds the payment → recorded, no second request',
    async () => expectOneEffect(await expiredFound, 1),
    TEST_MS,
  );

  const expiredAbsent = lane.plan(async () => {
    const name = 'expired-absent';
    const started = await dieAt('before-send', 'pay_keyed_with_probe', payment(name), name);
    await letADayPass(started);
    return takeOver(started);
  });
  guarantee(
    'S2-08',
    'the retention has passed and the look-up finds nothing → sent once',
    async () => expectOneEffect(await expiredAbsent, 1),
    TEST_MS,
  );

  const otherBody = lane.plan(async () => {
    const name = 'other-body';
    const started = await dieAt('before-send', 'pay_few_times', payment(name), name);
    const { wireKey = '' } = (await world.effectOf(started.runKey)) ?? {};
    // Somebody has used the key for something else: nothing that we could have foreseen.
    await fetch(`${world.bank.url}/transfers`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': wireKey },
      body: JSON.stringify({ ...payment('foreign'), payee: 'other', currency: 'EUR' }),
    });
    const effect = await takeOverIntoDoubt(started);
    return { effect, receipts: receiptsOf(name), writes: writesFor(world.bank, name) };
  });
  guarantee(
    ['S2-08', 'F-03'],
    'the bank knows the key with another body (422) → stopped, in doubt, a human is asked, nothing paid',
    async () => {
      const { effect, receipts, writes } = await otherBody;
      expect(effect).toMatchObject({ status: 'in_doubt', hasConflict: false });
      expect(receipts).toHaveLength(0);
      expect(writes.length).toBeLessThanOrEqual(3);
      expectSameRequest(writes, writes.length);
    },
    TEST_MS,
  );
});

describe('a no that says nothing about the send before it', () => {
  const checked = lane.plan(async () => {
    const started = await dieAt('after-send', 'pay_checked', payment('checked'), 'checked');
    world.handOver('checked');
    const effect = await eventually('it is settled or in doubt', async () => {
      const seen = await world.effectOf(started.runKey);
      return seen && seen.status !== 'dispatched' ? seen : undefined;
    });
    return { effect, receipts: receiptsOf('checked') };
  });
  guarantee(
    'law-06-ambiguous',
    'a tool that looks first finds its own payment after a crash and refuses → not recorded as refused: in doubt',
    async () => {
      const { effect, receipts } = await checked;
      expect(receipts).toHaveLength(1);
      expect(effect).toMatchObject({ status: 'in_doubt' });
      expect(effect.reason).toContain('already_paid');
    },
    TEST_MS,
  );

  const unauthorised = lane.plan(async () => {
    const started = await world.startEffect({ tool: 'pay_by_gateway', input: payment('gateway') });
    return {
      effect: await takeOverIntoDoubt(started),
      bodies: gateway.arrived.map(({ body }) => String(body)),
    };
  });
  guarantee(
    'law-06-ambiguous',
    'the first answer is lost and the repeat gets a 401 → the first send stays open: in doubt, not refused',
    async () => {
      const { effect, bodies } = await unauthorised;
      expect(effect.sends).toBe(3);
      expect(new Set(bodies).size).toBe(1);
    },
    TEST_MS,
  );
});

/** Takes the first request and cuts the line; from then on the caller's credentials are not good any more. */
function startGateway(): Promise<LocalServer> {
  let isFirst = true;
  return serve((_request, response) => {
    if (isFirst) response.destroy();
    else response.writeHead(401).end('{"error":{"code":"token_expired","message":"log in"}}');
    isFirst = false;
  });
}
