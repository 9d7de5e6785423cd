// defineTool: what a declaration becomes, and each error with its whole text.
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { defineTool, type ToolOptions } from '../../domain/schemas/define-tool.ts';
import { absent, found, isRefusal, refused, unclear } from '../../domain/schemas/outcomes.ts';

interface Refund {
  readonly orderId: string;
}
type Options = ToolOptions<Refund, string>;

const base: Options = {
  name: 'refund',
  description: 'Refund an order.',
  input: z.object({ orderId: z.string() }),
  output: z.string(),
  run: () => Promise.resolve('done'),
};
const define = (change: Partial<Options>) => defineTool<Refund, string>({ ...base, ...change });
const probe = () => Promise.resolve(absent());

describe('a declared tool', () => {
  it('nothing said → once, four sends, 30 seconds, by ctx.fetch, one at a time', () => {
    expect(define({})).toMatchObject({
      kind: 'pawl.tool',
      name: 'refund',
      contract: 'once',
      declaration: {},
      keyRetentionMs: undefined,
      sendsMax: 4,
      timeoutMs: 30_000,
      callsPerRunMax: undefined,
      maxAnswerBytes: 16_777_216,
      egress: undefined,
      parallel: false,
      local: false,
      wire: 'fetch',
    });
  });

  it('everything said → kept', () => {
    const tool = define({
      effect: { key: { retention: '24h' }, probe, identity: ({ orderId }) => ['refund', orderId] },
      retry: { maximumAttempts: 2 },
      timeout: '5s',
      limits: { callsPerRun: 3 },
      maxAnswerBytes: 1_000,
      egress: ['API.bank.example:0443', '*.cdn.example'],
      parallel: true,
      wire: 'own',
    });
    expect(tool).toMatchObject({
      contract: 'keyed',
      keyRetentionMs: 86_400_000,
      sendsMax: 2,
      timeoutMs: 5_000,
      callsPerRunMax: 3,
      maxAnswerBytes: 1_000,
      egress: ['api.bank.example:443', '*.cdn.example'],
      parallel: true,
      wire: 'own',
    });
    expect(tool.declaration.identity?.({ orderId: 'o1' })).toEqual(['refund', 'o1']);
  });

  it.each([
    ['read', 'read' as const],
    ['once', 'once' as const],
    ['once', undefined],
    ['keyed', { key: { retention: '24h' as const } }],
    ['reconcilable', { probe }],
    ['transactional', { transactional: true as const }],
    ['once', { identity: () => ['a'] }],
  ])('→ %s', (contract, effect) => {
    expect(define(effect === undefined ? {} : { effect }).contract).toBe(contract);
  });
});

describe('a declaration that contradicts itself', () => {
  it.each<[Partial<Options>, string]>([
    [{ maxAnswerBytes: 0 }, 'maxAnswerBytes is a whole number from 1, not 0'],
    [{ maxAnswerBytes: 1.5 }, 'maxAnswerBytes is a whole number from 1, not 1.5'],
    [{ egress: ['https://bank.example'] }, 'egress: "https://bank.example" is no host: write'],
  ])('%j → refused', (change, message) => {
    expect(() => define(change)).toThrow(`Tool "refund": ${message}`);
  });

  it.each(['Refund', 'refund-it', '1refund', '', 'r'.repeat(65), 'refund\n', '__proto__'])(
    'the name %p → refused',
    (name) => {
      expect(() => define({ name })).toThrow(
        new TypeError(
          `Tool "${name}": a name is ^[a-z][a-z0-9_]{0,63}$, so that every provider accepts it`,
        ),
      );
    },
  );

  it.each([{ key: { retention: '24h' as const } }, { probe }])(
    'transactional with a key or a probe → refused',
    (more) => {
      expect(() => define({ effect: { transactional: true, ...more } })).toThrow(
        new TypeError('Tool "refund": a transactional effect needs neither key nor probe'),
      );
    },
  );

  it('a key that one attempt outlasts → refused', () => {
    expect(() => define({ effect: { key: { retention: '20s' } } })).toThrow(
      new TypeError(
        'Tool "refund": the key\'s retention (20000 ms) must be longer than one attempt (30000 ms)',
      ),
    );
  });

  it('a key that the last resend may outlast → refused: the receiver would do it again', () => {
    expect(() => define({ effect: { key: { retention: '2m' } } })).toThrow(
      new TypeError(
        'Tool "refund": the key\'s retention (120000 ms) is trusted for 108000 ms, which leaves the last ' +
          'resend less than one attempt (30000 ms): shorten the timeout',
      ),
    );
    expect(define({ effect: { key: { retention: '5m' } } }).contract).toBe('keyed');
  });

  it.each(['0s', '0.1ms'] as const)('a time-out of %s → refused', (timeout) => {
    expect(() => define({ timeout })).toThrow(
      new TypeError(`Tool "refund": a timeout is longer than nothing, not "${timeout}"`),
    );
  });

  it('local → two seconds, and more is refused: it would hold its workflow task', () => {
    expect(define({ local: true })).toMatchObject({ local: true, timeoutMs: 2_000 });
    expect(define({ local: true, timeout: '300ms' }).timeoutMs).toBe(300);
    expect(() => define({ local: true, timeout: '2001ms' })).toThrow(
      new TypeError(
        'Tool "refund": a local tool\'s timeout is at most 2000 ms, not "2001ms": shorten it, or leave `local` away',
      ),
    );
  });

  it.each([0, -1, 1.5, Number.NaN])('%p attempts → refused', (maximumAttempts) => {
    expect(() => define({ retry: { maximumAttempts } })).toThrow(
      new TypeError(
        `Tool "refund": maximumAttempts is a whole number from 1, not ${maximumAttempts}`,
      ),
    );
  });

  it('a retention or time-out that is no duration → refused, with the form', () => {
    const error = new TypeError(
      '"1 day" is not a duration: write a number and ms, s, m, h or d, as in "30s"',
    );
    expect(() => define({ timeout: '1 day' as '1d' })).toThrow(error);
    expect(() => define({ effect: { key: { retention: '1 day' as '1d' } } })).toThrow(error);
  });
});

describe('the words for an outcome', () => {
  it('refused(code) → an error whose code and message the model may see', () => {
    expect(refused('card_declined')).toMatchObject({
      code: 'card_declined',
      message: 'card_declined',
    });
    expect(refused('card_declined', 'no money').message).toBe('no money');
  });

  it('a refusal of another copy of the package → still a refusal; anything else is none', () => {
    const foreign = Object.assign(new Error('no'), { isPawlRefusal: true, code: 'x' });
    expect([refused('x'), foreign].map(isRefusal)).toEqual([true, true]);
    expect([new Error('x'), undefined, { isPawlRefusal: true }, 'x'].map(isRefusal)).toEqual(
      Array.from({ length: 4 }, () => false),
    );
  });

  it('found, absent, unclear → values', () => {
    expect([found(1), absent(), unclear('busy')]).toEqual([
      { kind: 'found', output: 1 },
      { kind: 'absent' },
      { kind: 'unclear', reason: 'busy' },
    ]);
  });
});
