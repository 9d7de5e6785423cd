// Receivers that accept first and answer later: by webhook, by probe, too early, twice, falsely, or never.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { createWebhookSecret, crashAt, type Receivers, until } from 'pawl/testing';
import { WorkflowFailedError } from '@temporalio/client';
import { createLane } from '../crash/fixtures/lane.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, notifyTool, TASK, untilLive } from './clerk.ts';
import { type LaterBank, payLaterTool, withLaterBank } from './later-bank.ts';

const TEST_MS = 240_000;
const lane = createLane(6);
let t: LaterBank;
let end: () => void;
let ended: Promise<void>;

// One tool, for plain workflows and for the clerk.
let payLater: AnyTool | undefined;
const payLaterOf = (r: Receivers): AnyTool => (payLater ??= payLaterTool(r, 'pay_later'));
const tools = (r: Receivers) => [
  payLaterOf(r),
  payLaterTool(r, 'pay_probed', { isKeyed: false, hasProbe: true }),
  payLaterTool(r, 'pay_short', { isKeyed: false, within: '2s' }),
  payLaterTool(r, 'pay_crash'),
];
const SILENCE = 'accepted by the receiver, which has not said what became of it';
const isPending = ({ isPending }: { isPending: boolean }): boolean => isPending;
const receiptsOf = (reference: string) => t.bank.receipts({ reference });
const outputOf = (reference: string) => ({
  transferId: receiptsOf(reference)[0]?.receiptId,
  reference,
});

beforeAll(async () => {
  const closing = new Promise<void>((resolve) => (end = resolve));
  await new Promise<void>((resolve, reject) => {
    const options = {
      tools,
      agents: (r: Receivers) => [clerk(r, { tools: [payLaterOf(r), notifyTool(r)] })],
      model: (request: { messages: readonly { role: string }[] }) =>
        request.messages.some(({ role }) => role === 'assistant') ? DONE : nextReply(),
      crash: crashAt('before-settle', 'pay_crash'),
      worker: { reconcileEveryMs: 1_000 },
      callsBackFor: ['pay_later', 'pay_probed', 'pay_short', 'pay_crash'],
    };
    ended = withLaterBank(options, async (opened) => {
      t = opened;
      // Unless a scenario says otherwise for its own payment.
      t.bank.setMode('/transfers', 'pending');
      resolve();
      await closing;
    });
    ended.catch(reject);
  });
  lane.start();
}, TEST_MS);
afterAll(async () => {
  end();
  await ended;
});

/** Each run of the clerk pays once and then notifies; the reference is the run's own. */
let runs = 0;
function nextReply() {
  runs += 1;
  const reference = `run-${runs}`;
  return calls(['pay_later', { reference, cents: 2_000 }], ['notify', { subject: reference }]);
}

const plan = <T>(scenario: () => Promise<T>): Promise<T> => lane.plan(scenario);
const prove = (title: string, run: () => Promise<void>): void =>
  guarantee('async-receivers', title, run, TEST_MS);

const told = plan(async () => {
  t.bank.setMode('told', 'pending');
  const order = await t.pay('pay_later', 'told');
  const pending = await t.effectWhen('told', isPending);
  t.bank.settlePending('told');
  return { pending, output: await order.result() };
});
prove('told by webhook → the workflow ends with its output, 1 request, 1 receipt', async () => {
  const { pending, output } = await told;
  expect(pending).toMatchObject({ status: 'dispatched', isOnWire: false });
  expect(pending.reference).toBe(receiptsOf('told')[0]?.receiptId);
  expect(output).toEqual(outputOf('told'));
  expect(receiptsOf('told')).toHaveLength(1);
  expect(t.sendsOf('told')).toBe(1);
});

const probed = plan(async () => {
  t.bank.setMode('probed', 'pending', { delayMs: 0, webhook: 'none' });
  return (await t.pay('pay_probed', 'probed')).result();
});
prove('never told, but asked by a probe → applied by the probe, 1 request', async () => {
  expect(await probed).toEqual(outputOf('probed'));
  const { effect, facts } = await t.client.why((await t.effectWhen('probed', () => true)).effect);
  expect(effect).toMatchObject({ status: 'applied', hasProbe: true });
  expect(facts.find(({ kind }) => kind === 'applied')?.source).toBe('probe');
  expect(t.sendsOf('probed')).toBe(1);
});

const rejected = plan(async () => {
  t.bank.setMode('rejected', 'pending');
  const order = await t.pay('pay_later', 'rejected');
  await t.effectWhen('rejected', isPending);
  t.bank.rejectPending('rejected');
  return order.result().catch((error: unknown) => error);
});
prove('given up by the bank → Effect.Refused with its code, no receipt', async () => {
  const failure = await rejected;
  expect(failure).toBeInstanceOf(WorkflowFailedError);
  expect((failure as WorkflowFailedError).cause).toMatchObject({
    type: 'Effect.Refused',
    message: 'The account of the payee is closed.',
    details: ['account_closed'],
  });
  expect(receiptsOf('rejected')).toEqual([]);
});

const early = ['early', 'named-early'].map((reference) =>
  plan(async () => {
    t.bank.setMode(reference, 'pending', { webhook: 'early' });
    return (await t.pay('pay_later', reference)).result();
  }),
);
prove(
  'told before its 202 is recorded, by key or by reference alone → applied, 1 request',
  async () => {
    for (const [index, reference] of ['early', 'named-early'].entries()) {
      expect(await early[index]).toEqual(outputOf(reference));
      expect(t.sendsOf(reference)).toBe(1);
    }
  },
);

const repeated = plan(async () => {
  t.bank.setMode('repeated', 'pending', { webhook: 'none' });
  const order = await t.pay('pay_later', 'repeated');
  const { effect } = await t.effectWhen('repeated', isPending);
  t.bank.settlePending('repeated');
  const statuses = await t.bank.announce('repeated', { copies: 100, id: 'msg_repeated' });
  await order.result();
  return { statuses, story: await t.client.why(effect) };
});
prove('told a hundred times at once → each is answered 202, one fact', async () => {
  const { statuses, story } = await repeated;
  expect(new Set(statuses)).toEqual(new Set([202]));
  expect(story.facts.filter(({ source }) => source === 'webhook')).toHaveLength(1);
  const said = t.reports.filter(({ id }) => id === 'msg_repeated').map(({ code }) => code);
  expect(said.filter((code) => code === 'accepted')).toHaveLength(1);
  expect(said.filter((code) => code === 'duplicate')).toHaveLength(99);
});

const falsely = plan(async () => {
  t.bank.setMode('falsely', 'pending', { webhook: 'none' });
  const order = await t.pay('pay_later', 'falsely');
  const { effect } = await t.effectWhen('falsely', isPending);
  const claim = { status: 'applied' } as const;
  const forged = { ...claim, secret: createWebhookSecret() };
  const statuses = [
    ...(await t.bank.announce('falsely', forged)),
    ...(await t.bank.announce('falsely', { ...claim, ageMs: 360_000 })),
    // Genuine, but the bank speaks for another tool there.
    ...(await t.bank.announce('falsely', { ...claim, url: t.urlOf('pay_short') })),
    // Genuine, and it says nothing.
    ...(await t.bank.announce('falsely')),
  ];
  const story = await t.client.why(effect);
  t.bank.settlePending('falsely');
  await t.bank.announce('falsely');
  await order.result();
  return { statuses, story };
});
prove('told by a forger, by a replay, for another tool → unchanged, then the truth', async () => {
  const { statuses, story } = await falsely;
  expect(statuses).toEqual([401, 401, 202, 202]);
  expect(story.effect).toMatchObject({ status: 'dispatched', isPending: true });
  expect(story.callbacks.filter(({ isTakenUp }) => isTakenUp)).toEqual([]);
  expect(story.facts.filter(({ source }) => source === 'webhook')).toEqual([]);
  expect(receiptsOf('falsely')).toHaveLength(1);
});

const contradicted = plan(async () => {
  t.bank.setMode('contradicted', 'pending');
  const order = await t.pay('pay_later', 'contradicted');
  await t.effectWhen('contradicted', isPending);
  t.bank.settlePending('contradicted');
  const output = await order.result();
  await t.bank.announce('contradicted', { status: 'rejected' });
  // Nobody waits for it any more: the reconciler takes it up.
  const { effect } = await t.effectWhen('contradicted', ({ hasConflict }) => hasConflict);
  return { output, story: await t.client.why(effect), doubts: await t.client.doubts() };
});
prove(
  'told applied, then rejected → the outcome stands, a conflict in doubts and why',
  async () => {
    const { output, story, doubts } = await contradicted;
    expect(output).toEqual(outputOf('contradicted'));
    expect(story.effect).toMatchObject({ status: 'applied', hasConflict: true });
    expect(story.callbacks.map(({ outcome }) => outcome)).toEqual(['applied', 'refused']);
    expect(doubts.map(({ effect }) => effect)).toContain(story.effect.effect);
  },
);

const silent = plan(async () => {
  t.bank.setMode('silent', 'pending', { webhook: 'none' });
  const order = await t.pay('pay_short', 'silent');
  const doubt = await t.effectWhen('silent', ({ status }) => status === 'in_doubt');
  t.bank.settlePending('silent');
  await t.bank.announce('silent', { url: t.urlOf('pay_short') });
  return { doubt, output: await order.result() };
});
prove('not told in time → in doubt; told later → settled by itself, 1 request', async () => {
  const { doubt, output } = await silent;
  expect(doubt).toMatchObject({
    contract: 'once',
    sends: 1,
    isPending: false,
    reason: SILENCE,
  });
  expect(output).toEqual(outputOf('silent'));
  expect(t.sendsOf('silent')).toBe(1);
  expect(receiptsOf('silent')).toHaveLength(1);
});

const orphaned = plan(async () => {
  t.bank.setMode('orphaned', 'pending', { webhook: 'none' });
  await t.pay('pay_short', 'orphaned');
  // Not once it is seen as pending: its time may be over by then.
  await until(() => t.sendsOf('orphaned') === 1);
  await t.temporal.workflow.getHandle(`orphaned-${t.taskQueue}`).terminate('by an operator');
  const doubt = await t.effectWhen('orphaned', ({ status }) => status === 'in_doubt');
  const doubts = await t.client.doubts();
  t.bank.settlePending('orphaned');
  await t.bank.announce('orphaned', { url: t.urlOf('pay_short') });
  const after = await t.effectWhen('orphaned', ({ status }) => status === 'applied');
  return { doubt, doubts, after };
});
prove(
  'its workflow terminated → in doubts after its time; a callback settles it all the same',
  async () => {
    const { doubt, doubts, after } = await orphaned;
    expect(doubts.map(({ effect }) => effect)).toContain(doubt.effect);
    expect(doubt.reason).toBe(`${SILENCE}; its workflow is gone`);
    expect(after).toMatchObject({ output: outputOf('orphaned'), hasConflict: false });
    expect(t.sendsOf('orphaned')).toBe(1);
  },
);

const crashed = plan(async () => {
  t.bank.setMode('crashed', 'pending', { webhook: 'none', times: 1 });
  const order = await t.pay('pay_crash', 'crashed');
  const pending = await t.effectWhen('crashed', isPending);
  t.bank.settlePending('crashed');
  await t.bank.announce('crashed', { url: t.urlOf('pay_crash') });
  return { pending, output: await order.result() };
});
prove(
  'the worker dies between 202 and record → the same key gets the same 202, then the webhook: 1 receipt',
  async () => {
    const { pending, output } = await crashed;
    const sent = t.bank
      .requests({ method: 'POST' })
      .filter(({ body }) => body.includes('"crashed"'));
    expect(sent).toHaveLength(2);
    expect(new Set(sent.map(({ idempotencyKey, body }) => `${idempotencyKey} ${body}`)).size).toBe(
      1,
    );
    expect(pending).toMatchObject({ sends: 2, reference: receiptsOf('crashed')[0]?.receiptId });
    expect(output).toEqual(outputOf('crashed'));
    expect(receiptsOf('crashed')).toHaveLength(1);
  },
);

/** A run that waits for its payment, and the payment's reference. */
async function waitingRun(): Promise<{ runKey: string; reference: string }> {
  const { runKey } = await t.start('clerk', TASK);
  await untilLive(t, runKey, 'await-settlement');
  const [effect] = await t.client.effects({ run: runKey });
  const { reference } = effect?.arguments as { reference: string };
  expect(effect).toMatchObject({ status: 'dispatched', isPending: true });
  return { runKey, reference };
}
const notesOf = (subject: string) =>
  t.mailbox.requests().filter(({ body }) => body.includes(`"${subject}"`));

const inOrder = plan(async () => {
  const { runKey, reference } = await waitingRun();
  const notesBefore = notesOf(reference).length;
  t.bank.settlePending(reference);
  return { reference, notesBefore, ended: await t.result(runKey), runKey };
});
prove('the calls behind it wait, then run → completed, in call order', async () => {
  const { reference, notesBefore, ended: run, runKey } = await inOrder;
  expect(run.result?.kind).toBe('completed');
  expect(notesBefore).toBe(0);
  expect(notesOf(reference)).toHaveLength(1);
  const [paid] = receiptsOf(reference);
  expect(notesOf(reference)[0]?.atMs).toBeGreaterThanOrEqual(paid?.atMs ?? Infinity);
  expect(t.sendsOf(reference)).toBe(1);
  const { calls: made } = await t.client.show(runKey);
  expect(made.map(({ ended }) => ended)).toEqual(['applied', 'applied']);
});

const paused = plan(async () => {
  const { runKey, reference } = await waitingRun();
  const pause = await t.client.pause(runKey);
  t.bank.settlePending(reference);
  // The reconciler takes the outcome up; nothing else goes out.
  await t.effectWhen(reference, ({ status }) => status === 'applied');
  const notesBefore = notesOf(reference).length;
  await t.client.resume(runKey);
  return { pause, reference, notesBefore, ended: await t.result(runKey) };
});
prove(
  'paused → at rest at once, its outcome is taken up, nothing follows until resume',
  async () => {
    const { pause, reference, notesBefore, ended: run } = await paused;
    expect(pause.status).toBe('paused');
    expect(notesBefore).toBe(0);
    expect(run.result?.kind).toBe('completed');
    expect(notesOf(reference)).toHaveLength(1);
  },
);

const cancelled = plan(async () => {
  const { runKey, reference } = await waitingRun();
  await t.client.cancel(runKey);
  const run = await t.result(runKey);
  t.bank.settlePending(reference);
  const effect = await t.effectWhen(reference, ({ status }) => status === 'applied');
  return { run, reference, effect };
});
prove(
  'cancelled → the run ends, nothing follows, and its payment is settled by webhook',
  async () => {
    const { run, reference, effect } = await cancelled;
    expect(run.result?.kind).toBe('cancelled');
    expect(effect).toMatchObject({ output: outputOf(reference), hasConflict: false });
    expect(notesOf(reference)).toEqual([]);
  },
);

// Alone, behind all others: here the worker and the ledger are taken away.
describe('when something is down', () => {
  beforeAll(async () => {
    await Promise.allSettled([told, probed, rejected, ...early, repeated, falsely, contradicted]);
    await Promise.allSettled([silent, orphaned, crashed, inOrder, paused, cancelled]);
  }, TEST_MS);

  prove('the ledger, when the webhook comes → 503, sent again until it is stored', async () => {
    t.bank.setMode('unheard', 'pending');
    const order = await t.pay('pay_later', 'unheard');
    await t.effectWhen('unheard', isPending);
    t.setLedgerUp(false);
    t.bank.settlePending('unheard');
    const refused = await until(() => t.reports.find(({ status }) => status === 503));
    expect(refused.code).toBe('Database.Unreachable');
    await t.effectWhen('unheard', isPending);
    t.setLedgerUp(true);
    expect(await order.result()).toEqual(outputOf('unheard'));
    expect(t.reports.filter(({ id }) => id === refused.id).at(-1)?.code).toBe('accepted');
    expect(t.sendsOf('unheard')).toBe(1);
  });

  prove('every worker, when the webhook comes → the row waits for the next one', async () => {
    t.bank.setMode('unmanned', 'pending');
    const order = await t.pay('pay_later', 'unmanned');
    const { effect } = await t.effectWhen('unmanned', isPending);
    await t.stopWorker();
    t.bank.settlePending('unmanned');
    const story = await until(async () => {
      const seen = await t.client.why(effect);
      return seen.callbacks.length > 0 && seen;
    });
    expect(story.callbacks).toMatchObject([{ outcome: 'applied', isTakenUp: false }]);
    expect(story.effect).toMatchObject({ status: 'dispatched', isPending: true });
    await t.startWorker();
    expect(await order.result()).toEqual(outputOf('unmanned'));
    expect(receiptsOf('unmanned')).toHaveLength(1);
    expect(t.sendsOf('unmanned')).toBe(1);
  });
});
