// Callbacks through the client, read from real rows: stored once, matched by key or reference, folded once, never guessed.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDatabase } from '../../activities/ledger/database.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import type { EffectLedger } from '../../activities/ledger/effect-ledger.ts';
import { formatEffects } from '../../client/cli/format/effect-format.ts';
import { formatExplanation } from '../../client/cli/format/why-format.ts';
import { createPaint } from '../../client/cli/cli-io.ts';
import { type EffectExplanation, PawlClient } from '../../client/index.ts';
import { guarantee } from '../guarantee.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertEffect,
  insertRun,
} from './client-fixtures.ts';

let database: ClientDatabase;
let client: PawlClient;
let ledger: EffectLedger;
let closeLedger: () => Promise<void>;

beforeAll(async () => {
  database = await createClientDatabase();
  client = await PawlClient.connect({ databaseUrl: database.url, temporalAddress: '127.0.0.1:1' });
  const engine = openDatabase({ url: database.url });
  closeLedger = () => engine.close();
  ledger = await createPostgresEffectLedger(engine);
});
afterAll(async () => {
  await Promise.all([client.close(), closeLedger()]);
  await database.drop();
});

interface Sent {
  readonly effect: string;
  readonly id: string;
  readonly tool: string;
  readonly wireKey: string;
  readonly runKey: string;
}

let ids = 0;
const newId = (): string => `msg_${(ids += 1)}`;

/** An effect that its receiver has accepted, by this reference. */
async function accepted(reference: string | null, more: object = {}): Promise<Sent> {
  const runKey = await insertRun(database);
  const { id, effect } = await insertEffect(database, runKey, {
    status: 'dispatched',
    sends: 1,
    ...more,
  });
  const wireKey = randomUUID();
  await database.query('update pawl.effects set wire_key = $2 where id = $1', [id, wireKey]);
  await ledger.append('default', id, [{ fact: { kind: 'pending', reference, withinMs: 60_000 } }]);
  return { id, runKey, effect, tool: 'pay_invoice', wireKey };
}

/** What a worker or the reconciler does next, and what stands then. */
async function look({ id, runKey, effect }: Sent): Promise<EffectExplanation> {
  await ledger.begin('default', id, runKey);
  return client.why(effect);
}

const rowsOf = (id: string) => database.query('select * from pawl.callbacks where id = $1', [id]);
const webhookFacts = ({ facts }: EffectExplanation) =>
  facts.filter(({ source }) => source === 'webhook');

describe('a callback', () => {
  it('by key → accepted, names the effect; taken up as applied at the next look', async () => {
    const sent = await accepted('job_1');
    const { tool, wireKey } = sent;
    const output = { transferId: 'tr_1' };
    const callback = {
      tool,
      id: newId(),
      idempotencyKey: wireKey,
      outcome: 'applied',
      output,
    } as const;
    expect(await client.receiveCallback(callback)).toEqual({
      kind: 'accepted',
      effect: sent.effect,
    });
    const before = await client.why(sent.effect);
    expect(before.effect).toMatchObject({
      status: 'dispatched',
      isPending: true,
      isOnWire: false,
      reference: 'job_1',
    });
    expect(before.callbacks).toMatchObject([{ id: callback.id, isTakenUp: false, output }]);
    const io = { paint: createPaint(false), columns: undefined };
    // Long values wrap, with a gutter.
    const story = formatExplanation(io, before, new Date()).replaceAll(/\n *│ /g, ' ');
    expect(story).toMatch(/status +dispatched/);
    expect(story).toMatch(
      /accepted by the receiver, waiting for its word until .*Z \(in \d+ s\), reference job_1/,
    );
    expect(story).toMatch(/taken up +not yet/);
    expect(formatEffects(io, [before.effect], new Date())).toContain('dispatched, accepted');
    const after = await look(sent);
    expect(after.effect).toMatchObject({ status: 'applied', isPending: false, output });
    expect(after.callbacks).toMatchObject([{ isTakenUp: true }]);
    expect(await client.receiveCallback(callback)).toEqual({
      kind: 'duplicate',
      effect: sent.effect,
    });
    expect(webhookFacts(await look(sent))).toHaveLength(1);
  });

  it('refused, by reference → refused with the code of the receiver', async () => {
    const sent = await accepted('job_2');
    await client.receiveCallback({
      ...{ tool: sent.tool, id: newId(), reference: 'job_2', outcome: 'refused' },
      ...{ code: 'account_closed', message: 'closed' },
    });
    const { effect } = await look(sent);
    expect(effect).toMatchObject({ status: 'refused', code: 'account_closed', reason: 'closed' });
  });

  guarantee(
    'async-receivers',
    'a hundred copies at once, a hundred looks at once → one row, one fact',
    async () => {
      const sent = await accepted(null);
      const { tool, wireKey } = sent;
      const message = { tool, id: newId(), idempotencyKey: wireKey, outcome: 'applied' } as const;
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => client.receiveCallback(message)),
      );
      expect(answers.filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
      await Promise.all(
        Array.from({ length: 100 }, () => ledger.begin('default', sent.id, sent.runKey)),
      );
      expect(webhookFacts(await look(sent))).toHaveLength(1);
    },
  );

  it('under a known id but of another outcome or effect → Callback.IdReused, nothing changed', async () => {
    const sent = await accepted('job_3');
    const first = { tool: sent.tool, id: newId(), reference: 'job_3', outcome: 'applied' } as const;
    await client.receiveCallback(first);
    for (const other of [{ outcome: 'refused' }, { reference: 'job_4' }] as const) {
      await expect(client.receiveCallback({ ...first, ...other })).rejects.toMatchObject({
        code: 'Callback.IdReused',
        message: expect.stringContaining(`"${first.id}" for ${sent.tool}`),
      });
    }
    expect(await rowsOf(first.id)).toHaveLength(1);
    expect((await look(sent)).effect).toMatchObject({ status: 'applied', hasConflict: false });
  });

  guarantee(
    'async-receivers',
    'early: before its reference is recorded → kept without an effect, matched as soon as it is',
    async () => {
      const runKey = await insertRun(database);
      const { id, effect } = await insertEffect(database, runKey, {
        status: 'dispatched',
        sends: 1,
      });
      const { tool } = (await client.why(effect)).effect;
      const early = { tool, id: newId(), reference: 'job_5', outcome: 'applied' } as const;
      expect(await client.receiveCallback(early)).toEqual({ kind: 'accepted', effect: null });
      await ledger.begin('default', id, runKey);
      expect((await client.why(effect)).effect.status).toBe('dispatched');
      const pending = { kind: 'pending', reference: 'job_5', withinMs: 60_000 } as const;
      await ledger.append('default', id, [{ fact: pending }]);
      await ledger.begin('default', id, runKey);
      expect((await client.why(effect)).effect.status).toBe('applied');
    },
  );

  guarantee(
    'async-receivers',
    'a reference that two effects have → neither is settled by it; the key settles one',
    async () => {
      const [one, other] = [await accepted('job_6'), await accepted('job_6')];
      const { tool } = one;
      const vague = { tool, id: newId(), reference: 'job_6', outcome: 'applied' } as const;
      expect(await client.receiveCallback(vague)).toEqual({ kind: 'accepted', effect: null });
      for (const sent of [one, other]) expect((await look(sent)).effect.isPending).toBe(true);
      const clear = { ...vague, id: newId(), idempotencyKey: one.wireKey };
      expect(await client.receiveCallback(clear)).toMatchObject({ effect: one.effect });
      expect((await look(one)).effect.status).toBe('applied');
      expect((await look(other)).effect.status).toBe('dispatched');
    },
  );

  it('the key of one effect beside the reference of another → the key decides', async () => {
    const [one, other] = [await accepted('job_7'), await accepted('job_8')];
    const both = { idempotencyKey: one.wireKey, reference: 'job_8' };
    await client.receiveCallback({ tool: one.tool, id: newId(), ...both, outcome: 'applied' });
    expect((await look(one)).effect.status).toBe('applied');
    expect((await look(other)).effect.status).toBe('dispatched');
  });

  guarantee(
    'async-receivers',
    'for another tool or another tenant → no effect is touched',
    async () => {
      const sent = await accepted('job_9');
      const names = { idempotencyKey: sent.wireKey, outcome: 'applied' } as const;
      const foreign = [
        { ...names, tool: 'another_tool', id: newId() },
        { ...names, tool: sent.tool, id: newId(), tenant: 'another' },
      ];
      for (const message of foreign) {
        expect(await client.receiveCallback(message)).toEqual({ kind: 'accepted', effect: null });
      }
      expect((await look(sent)).effect).toMatchObject({ status: 'dispatched', isPending: true });
    },
  );

  guarantee(
    'async-receivers',
    'applied, then refused → applied stands, flagged as a conflict in doubts and why',
    async () => {
      const sent = await accepted('job_10');
      const names = { tool: sent.tool, reference: 'job_10' };
      await client.receiveCallback({ ...names, id: newId(), outcome: 'applied', output: 'done' });
      await client.receiveCallback({ ...names, id: newId(), outcome: 'refused', code: 'recalled' });
      const { effect, callbacks } = await look(sent);
      expect(effect).toMatchObject({ status: 'applied', hasConflict: true, output: 'done' });
      expect(callbacks.map(({ outcome, isTakenUp }) => [outcome, isTakenUp])).toEqual([
        ['applied', true],
        ['refused', true],
      ]);
      expect((await client.doubts()).map((doubt) => doubt.effect)).toContain(effect.effect);
    },
  );

  guarantee('async-receivers', 'for an effect in doubt → settles it by itself', async () => {
    const sent = await accepted('job_11');
    await ledger.append('default', sent.id, [{ fact: { kind: 'doubted', reason: 'no word' } }]);
    const late = { tool: sent.tool, id: newId(), reference: 'job_11', outcome: 'applied' } as const;
    await client.receiveCallback(late);
    expect((await look(sent)).effect).toMatchObject({ status: 'applied', hasConflict: false });
  });

  it('a human knows it first → settled; a callback that says otherwise later → a conflict', async () => {
    const sent = await accepted('job_13');
    const evidence = 'the bank, by telephone';
    await client.settle(sent.effect, { outcome: 'not_applied', evidence, by: 'olga' });
    expect((await look(sent)).effect).toMatchObject({ status: 'refused', isPending: false });
    const late = { tool: sent.tool, id: newId(), reference: 'job_13', outcome: 'applied' } as const;
    await client.receiveCallback(late);
    expect((await look(sent)).effect).toMatchObject({ status: 'applied', hasConflict: true });
  });

  it('the role of clients → may store callbacks, and can change none', async () => {
    const sent = await accepted('job_14');
    const url = new URL(database.url);
    url.searchParams.set('options', '-c role=pawl_service');
    const service = await PawlClient.connect({
      databaseUrl: url.href,
      temporalAddress: '127.0.0.1:1',
    });
    const names = { tool: sent.tool, id: newId(), reference: 'job_14' };
    try {
      const answer = await service.receiveCallback({ ...names, outcome: 'applied' });
      expect(answer).toEqual({ kind: 'accepted', effect: sent.effect });
    } finally {
      await service.close();
    }
    await expect(
      database.query('update pawl.callbacks set outcome = $2 where id = $1', [names.id, 'refused']),
    ).rejects.toThrow(/append-only|may not|refuse/i);
  });

  it('texts that PostgreSQL cannot hold → stored all the same', async () => {
    const sent = await accepted('job\u0000_12');
    const output = { 'no\u0000te': ['a\u0000b', '\ud800', { n: 1, ok: true, none: null }] };
    const names = { tool: sent.tool, reference: 'job\u0000_12', id: `m\u0000${newId()}` };
    const answer = await client.receiveCallback({ ...names, outcome: 'applied', output });
    expect(answer).toEqual({ kind: 'accepted', effect: sent.effect });
    expect((await look(sent)).effect.output).toEqual({
      'no\ufffdte': ['a\ufffdb', '\ufffd', { n: 1, ok: true, none: null }],
    });
    const again = await client.receiveCallback({ ...names, outcome: 'applied', output });
    expect(again.kind).toBe('duplicate');
  });

  it.each([
    ['naming no effect', { idempotencyKey: undefined }, 'idempotencyKey'],
    ['with a refusal and an output', { outcome: 'refused', output: 1 }, 'output'],
    ['with another outcome', { outcome: 'maybe' }, 'outcome'],
    ['without an id', { id: '' }, 'id'],
    ['with an id too long for an index', { id: 'x'.repeat(300) }, 'id'],
    ['with an output that is no JSON', { output: { n: 1n } }, 'output'],
    ['with a field that nobody reads', { status: 'done' }, 'status'],
  ])('%s → Argument.Invalid names the field', async (_title, change, field) => {
    const message = {
      tool: 'pay',
      id: newId(),
      idempotencyKey: 'k',
      outcome: 'applied',
      ...change,
    };
    await expect(client.receiveCallback(message as never)).rejects.toMatchObject({
      code: 'Argument.Invalid',
      message: expect.stringContaining(field),
    });
  });
});
