// What people may write: every text of every method of the client is judged before a server is asked.
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ARGUMENTS } from '../../client/check-arguments.ts';
import { isPawlError } from '../../client/errors.ts';
import { PawlClient } from '../../client/pawl-client.ts';
import { SETTING_RULES, resolveSettings } from '../../client/settings.ts';
import { LETTERS_MAX, rules, toExactJson } from '../../client/text-rules.ts';
import { guarantee } from '../guarantee.ts';
import { sampleSeeded } from './support-properties.ts';

const client = PawlClient.open({
  databaseUrl: '',
  requester: 'anna',
  temporalAddress: '127.0.0.1:1',
});
afterAll(() => client.close());

type Given = Readonly<Record<string, unknown>>;
type Method = keyof typeof ARGUMENTS;

const METHODS = Object.keys(ARGUMENTS) as Method[];
/** Arguments that stand before the options, in their order. */
const POSITIONAL: Readonly<Partial<Record<Method, readonly string[]>>> = {
  start: ['agent', 'input'],
  steer: ['run', 'text'],
  say: ['session', 'text'],
  requireAgent: ['name'],
  each: ['kind'],
  ...Object.fromEntries(['approve', 'deny'].map((method) => [method, ['approval']])),
  ...Object.fromEntries(['reply', 'endSession'].map((method) => [method, ['session']])),
  ...Object.fromEntries(['settle', 'why'].map((method) => [method, ['effect']])),
  ...Object.fromEntries(
    ['show', 'transcript', 'runKey', 'result', 'watch', 'fork', 'compensate', 'pause', 'resume']
      .concat('cancel', 'history')
      .map((method) => [method, ['run']]),
  ),
};

/** Values that every rule takes. */
const FINE: Given = {
  ...{ agent: 'payouts', input: {}, run: 'latest', session: 'latest', approval: 'ap_7q2k9x' },
  ...{ effect: 'ef_7q2k9x', text: 'go on', name: 'payouts', outcome: 'applied', tools: ['pay'] },
  ...{ kind: 'runs', evidence: 'receipt 8812', reason: 'request 4711', statement: [] },
};

/** Calls a method by named arguments; a generator is asked for its first value. */
async function call(method: Method, given: Given): Promise<unknown> {
  const positional = POSITIONAL[method] ?? [];
  const named = Object.fromEntries(
    Object.entries(given).filter(([field]) => !positional.includes(field)),
  );
  const isErase = method === 'erase';
  const values = isErase ? [given, given] : [...positional.map((field) => given[field]), named];
  const run = client[method] as (...values: unknown[]) => unknown;
  const answer = run.apply(client, values);
  const isGenerator = typeof answer === 'object' && answer !== null && 'next' in answer;
  return isGenerator ? (answer as AsyncGenerator).next() : answer;
}

async function refusal(method: Method, given: Given): Promise<unknown> {
  return call(method, given).then(
    () => 'nothing was refused',
    (error: unknown) => error,
  );
}

function fineFor(method: Method): Given {
  const fields = Object.keys(ARGUMENTS[method]);
  const fine = Object.entries(FINE).filter(([field]) => fields.includes(field));
  return { ...Object.fromEntries(fine), ...(method === 'start' ? { session: true } : {}) };
}

type Odd = readonly [what: string, value: unknown];
const ALWAYS_ODD: readonly Odd[] = [
  ['empty', ''],
  ['blank', ' \t\n '],
  ['only invisible letters', '\u200b\u2060\u00ad'],
  ['NUL', 'a\u0000b'],
  ['half a pair', 'a\ud83d'],
  ['the other half', '\ude00a'],
  ['a number', 7],
  ['null', null],
  ['an object', { toString: () => 'x' }],
];
const ODD_TO_SEE: readonly Odd[] = [
  ['20,000 letters', 'x'.repeat(20_000)],
  ['a line break', 'a\nb'],
  ['a zero-width space', 'a\u200bb'],
  ['a change of direction', 'a\u202eb'],
  ['a tag character', 'a\u{e0041}'],
  ['a C1 control', 'a\u009b'],
  ['a private letter', 'a\ue000'],
  ['a flood of marks', `a${'\u0301'.repeat(9)}`],
];

/** Every field that takes texts, with what it must refuse. */
const TEXT_FIELDS: [Method, string, readonly Odd[]][] = METHODS.flatMap((method) =>
  Object.entries(
    ARGUMENTS[method] as Readonly<Record<string, (value: unknown) => string | undefined>>,
  )
    .filter(([, rule]) => rule('receipt') === undefined && rule('') !== undefined)
    .map(([field, rule]) => {
      const mustBeSeen = rule('a\nb') !== undefined;
      const odd = mustBeSeen ? [...ALWAYS_ODD, ...ODD_TO_SEE] : ALWAYS_ODD;
      const isNote = rule('x'.repeat(20_000)) !== undefined;
      const all = isNote && !mustBeSeen ? [...odd, ...ODD_TO_SEE.slice(0, 1)] : odd;
      return [method, field, all] satisfies [Method, string, readonly Odd[]];
    }),
);

describe('arguments of the client', () => {
  it('every public method is in the table, and nothing else', () => {
    const own = Object.getOwnPropertyNames(PawlClient.prototype);
    const methods = own.filter((name) => !['constructor', 'close'].includes(name));
    expect(METHODS.toSorted()).toEqual(methods.toSorted());
  });

  it('fine values of every method reach the database', async () => {
    for (const method of METHODS.filter(
      (name) => name !== 'doctor' && name !== 'receiveCallback',
    )) {
      const error = await refusal(method, fineFor(method));
      expect([method, isPawlError(error) && error.code]).toEqual([
        method,
        expect.stringMatching(/^(Client\.NotConfigured|Temporal\.Unreachable|Encryption\..*)$/),
      ]);
    }
  });

  it('the table knows the texts that the issue names', () => {
    const known = TEXT_FIELDS.map(([method, field]) => `${method}.${field}`);
    expect(known).toEqual(
      expect.arrayContaining([
        ...[
          'start.agent',
          'start.key',
          'start.requester',
          'start.subject',
          'say.text',
          'steer.text',
        ],
        ...['approve.approver', 'deny.reason', 'settle.evidence', 'settle.by', 'erase.reason'],
        ...['receiveCallback.tenant', 'show.run', 'why.effect', 'approve.approval', 'fork.message'],
      ]),
    );
  });

  guarantee.each('typed-texts', TEXT_FIELDS)(
    '%s: an odd %s → Argument.Invalid that names it, exit 2, nothing asked of a server',
    async (method, field, odd) => {
      for (const [what, value] of odd) {
        const error = await refusal(method, { ...fineFor(method), [field]: value });
        expect([what, error]).toEqual([
          what,
          expect.objectContaining({ code: 'Argument.Invalid', exitCode: 2 }),
        ]);
        expect((error as Error).message).toMatch(new RegExp(`^${field} (may|must|has|holds) `));
        expect((error as Error).message.length).toBeLessThan(200);
      }
    },
  );

  guarantee(
    'typed-texts',
    'settings: an odd tenant, requester, namespace → Argument.Invalid that names it',
    () => {
      for (const field of Object.keys(SETTING_RULES)) {
        for (const [what, value] of [...ALWAYS_ODD, ...ODD_TO_SEE].filter(
          ([, each]) => each !== null,
        )) {
          const open = (): unknown => resolveSettings({ [field]: value });
          expect(open).toThrow(
            expect.objectContaining({
              code: 'Argument.Invalid',
              message: expect.stringMatching(new RegExp(`^${field} `)),
            }),
          );
          expect(what).not.toBe('');
        }
      }
    },
  );

  guarantee(
    'typed-texts',
    'generated texts → accepted or refused by each rule, and what is accepted can be stored',
    () => {
      const texts = sampleSeeded(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({
            unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
          }),
        ),
        1_500,
      );
      for (const text of texts) {
        if (rules.words(text) !== undefined) continue;
        expect(text).not.toContain('\0');
        expect(Buffer.from(text, 'utf8').toString('utf8')).toBe(text);
        expect(text.trim()).not.toBe('');
        if (rules.name(text) === undefined) expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }
    },
  );

  it('people and their words pass in every script', () => {
    for (const name of [
      'anna',
      'Anna Müller',
      '李雷',
      'مريم',
      'नेहा',
      "O'Brien (ops)",
      'a@b.example',
      'bot-7',
    ]) {
      expect([name, rules.name(name)]).toEqual([name, undefined]);
    }
    for (const words of ['Tipp:\n\tnur 👩‍👩‍👧 ❤️', 'می‌خواهم', 'x'.repeat(20_000)]) {
      expect(rules.words(words)).toBeUndefined();
    }
    expect(rules.words('x'.repeat(LETTERS_MAX.words + 1))).toBe(
      'has 1,000,001 letters; at most 1,000,000',
    );
  });
});

describe('JSON that a program gives', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  let deep: unknown = 1;
  for (let level = 0; level < 6_000; level += 1) deep = [deep];
  const throwing = {
    toJSON: () => {
      throw new Error('no');
    },
  };

  guarantee.each('typed-input', [
    [undefined, /^input must be a JSON value/],
    [() => 1, /^input must be a JSON value/],
    [{ a: 1n }, /^input is no JSON value: .*BigInt/],
    [cycle, /^input is no JSON value: .*circular/],
    [throwing, /^input is no JSON value: no/],
    [{ a: [Number.NaN] }, /^input is no JSON value: "0" is NaN/],
    [Infinity, /^input is no JSON value: it is Infinity/],
    [deep, /^input is nested deeper than 256 levels|^input is no JSON value: Maximum/],
    [{ a: { b: 'x\0' } }, /^input: a\.b holds the letter U\+0000/],
    [{ a: ['\ud800'] }, /^input: a\[0\] holds half/],
    ['x'.repeat(17 * 1_024 * 1_024), /^input has 17825794 bytes of JSON; at most 16777216/],
  ] as [unknown, RegExp][])('case %# → Argument.Invalid with the place', async (input, message) => {
    const expected = expect.objectContaining({
      code: 'Argument.Invalid',
      message: expect.stringMatching(message),
    });
    await expect(client.start('payouts', input)).rejects.toEqual(expected);
    expect(() => toExactJson('input', input)).toThrow(expected);
  });

  it('what JSON can say comes back as it is', () => {
    const input = { file: 'a.csv', at: new Date(0), none: undefined, list: [1, null, 'ä😀'] };
    expect(toExactJson('input', input)).toEqual({
      file: 'a.csv',
      at: '1970-01-01T00:00:00.000Z',
      list: [1, null, 'ä😀'],
    });
  });
});
