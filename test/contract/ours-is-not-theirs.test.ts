// After a 2xx: whatever our encoding, the output's schema or the tool's code makes of it, applied and sent once, by the receiver's count.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { AmbiguousAnswer, httpEffect } from '../../domain/schemas/http-effect.ts';
import { pending, refused } from '../../domain/schemas/outcomes.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { guarantee } from '../guarantee.ts';
import { type LocalServer, serve } from '../unit/local-server.ts';
import { checkAsyncProperty } from '../unit/support-properties.ts';
import {
  KEY,
  type Payment,
  type PaymentTool,
  paymentTool,
  type Receipt,
} from './support-engine.ts';
import { newCase, useEngine } from './support-engine-suite.ts';

const at = useEngine();

interface Said {
  readonly status: number;
  readonly body: string;
}

let receiver: LocalServer;
let said: Said;
const usual: Said = { status: 200, body: '{"id":"r1"}' };
beforeAll(async () => {
  receiver = await serve((_, response) => response.writeHead(said.status).end(said.body));
});
beforeEach(() => {
  said = usual;
});
afterAll(() => receiver.close());

/** Posts its reference, reads the answer, and goes on as it is told. */
function toolThen(then: (answer: Response, ctx: ToolContext) => unknown, more = {}): PaymentTool {
  return paymentTool({
    output: z.unknown() as unknown as z.ZodType<Receipt>,
    run: async ({ reference }: Payment, ctx) => {
      const answer = await ctx.fetch(receiver.url, { method: 'POST', body: reference });
      return (await then(answer, ctx)) as Receipt;
    },
    ...more,
  });
}

const receiptsOf = (reference: string): number =>
  receiver.arrived.filter(({ body }) => body.toString().includes(reference)).length;

async function perform(tool: PaymentTool) {
  const { reference, intent } = newCase(tool);
  const outcome = await at.engine.perform(tool, intent);
  return { outcome, receipts: receiptsOf(reference), record: await at.ledger.read(intent) };
}

const thrower = (error: unknown) => (): never => {
  throw error;
};

function cyclic(): unknown {
  const value: Record<string, unknown> = { id: 'r1' };
  value['self'] = value;
  return value;
}

function nested(levels: number): unknown {
  let value: unknown = 'bottom';
  for (let level = 0; level < levels; level += 1) value = { next: value };
  return value;
}

/** What JSON can't hold, and what is said of it. */
const RETURNED: readonly [string, () => unknown, RegExp][] = [
  ['a bigint', () => ({ id: 12n }), /^id: a bigint has no JSON/],
  ['a cycle', cyclic, /^self: a cycle has no JSON/],
  ['a throwing toJSON', () => ({ id: { toJSON: thrower(new Error('no')) } }), /^id: toJSON threw/],
  ['2,000 levels', () => nested(2_000), /is deeper than 500 levels/],
  ['20,000 levels', () => nested(20_000), /is deeper than 500 levels/],
  ['1e400', () => ({ id: 1e400 }), /^id: Infinity has no JSON/],
  ['NaN', () => [Number.NaN], /^0: NaN has no JSON/],
  ['a rounded integer', () => ({ id: 2 ** 53 }), /^id: 9007199254740992 is beyond 2\^53/],
  ['17 MB', () => 'x'.repeat(17 * 1024 * 1024), /^it is larger than 16777216 bytes/],
  ['2^30 references to one', doubled, /^it has more than 1000000 values/],
  [
    'a throwing getter',
    () => ({
      get id() {
        throw new Error('no');
      },
    }),
    /^id: its getter threw/,
  ],
  ['a revoked proxy', revoked, /./],
];

function doubled(): unknown {
  let value: unknown = [1];
  for (let level = 0; level < 30; level += 1) value = [value, value];
  return value;
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return { proxy };
}

class Odd extends Error {
  override get message(): string {
    throw new Error('not even a message');
  }
}

function circularCause(): Error {
  const error = new Error('outer');
  error.cause = new Error('inner', { cause: error });
  return error;
}

const THROWN: readonly [string, () => unknown][] = [
  ['an Error', () => new Error('no transferId')],
  ['a TypeError', () => new TypeError('of undefined')],
  ['a SyntaxError of its own', () => new SyntaxError('Cannot convert x to a BigInt')],
  ['a text', () => 'oops'],
  ['undefined', () => undefined],
  ['a null prototype', () => Object.create(null) as unknown],
  ['a circular cause', circularCause],
  ['an error whose message throws', () => new Odd()],
  ['a message of 1 MB', () => new Error('x'.repeat(1_000_000))],
];

const SCHEMAS: readonly [string, () => z.ZodType, RegExp][] = [
  ['refuses', () => z.object({ id: z.number() }), /^id: Invalid input/],
  [
    'throws',
    () => z.unknown().refine(thrower(new Error('no'))),
    /^a check of the schema failed: Error: no/,
  ],
  [
    'rejects',
    () => z.unknown().refine(() => Promise.reject(new Error('no'))),
    /^a check of the schema failed: /,
  ],
  ['refuses later', () => z.unknown().refine(() => Promise.resolve(false), 'late'), /: late$/],
  [
    'transforms and throws',
    () => z.unknown().transform(thrower('text')),
    /^a check of the schema failed: text/,
  ],
];

describe('what the tool returns after a 2xx', () => {
  guarantee.each('ours-is-not-theirs', RETURNED)(
    '%s → applied (output invalid) with the place, sent once',
    async (_name, make, problem) => {
      const { outcome, receipts, record } = await perform(toolThen(make));
      expect(outcome).toMatchObject({
        kind: 'applied',
        outputProblem: expect.stringMatching(problem),
      });
      expect(record).toMatchObject({ state: { status: 'applied', sends: 1 } });
      expect(record.outputProblem).toMatch(problem);
      expect(receipts).toBe(1);
    },
  );

  guarantee.each('ours-is-not-theirs', SCHEMAS)(
    'a schema that %s → applied (output invalid), sent once',
    async (_name, schema, problem) => {
      const output = schema() as z.ZodType<Receipt>;
      const { outcome, receipts } = await perform(toolThen((answer) => answer.json(), { output }));
      expect(outcome).toMatchObject({ kind: 'applied', output: { id: 'r1' } });
      expect(outcome).toMatchObject({ outputProblem: expect.stringMatching(problem) });
      expect(receipts).toBe(1);
    },
  );

  it('a value that JSON holds, with an async schema that takes it → applied, and nothing to complain of', async () => {
    const output = z.unknown().refine(() => Promise.resolve(true)) as unknown as z.ZodType<Receipt>;
    const { outcome } = await perform(toolThen((answer) => answer.json(), { output }));
    expect(outcome).toEqual(expect.objectContaining({ kind: 'applied', output: { id: 'r1' } }));
    expect(outcome).not.toHaveProperty('outputProblem');
  });

  it('an output of 3 MB → whole in the ledger, without it in the history', async () => {
    const { outcome, record } = await perform(toolThen(() => 'x'.repeat(3_000_000)));
    expect(outcome).toMatchObject({ kind: 'applied', output: null });
    expect(record.output).toHaveLength(3_000_000);
    expect(record.outputProblem).toBeNull();
  });
});

describe('what the tool throws after a 2xx', () => {
  guarantee.each('ours-is-not-theirs', THROWN)(
    '%s → applied (output invalid) with the cause, sent once',
    async (_name, make) => {
      for (const effect of ['once', KEY] as const) {
        const { outcome, receipts, record } = await perform(
          toolThen(() => Promise.reject(make()), { effect }),
        );
        expect(outcome).toMatchObject({ kind: 'applied', output: null });
        expect(record.outputProblem).toMatch(/after the receiver had answered 200$|…$/);
        expect(Buffer.byteLength(record.outputProblem ?? '')).toBeLessThanOrEqual(4_096);
        expect(receipts).toBe(1);
      }
    },
  );

  guarantee(
    'ours-is-not-theirs',
    '`response` → applied with the body, and its own words',
    async () => {
      said = { status: 201, body: '{"transfer":{"id":"r1"}}' };
      const tool = paymentTool({
        run: httpEffect({
          request: ({ reference }: Payment) => ({ url: receiver.url, body: { reference } }),
          response: (body) => ({ id: (body as { data: Receipt }).data.id }),
        }),
      });
      const { outcome, receipts, record } = await perform(tool);
      expect(outcome).toMatchObject({ kind: 'applied', output: { transfer: { id: 'r1' } } });
      expect(record.outputProblem).toMatch(/^TypeError: Cannot read .* had answered 201$/);
      expect(receipts).toBe(1);
    },
  );
});

describe('what is no fault of ours', () => {
  it.each<[string, Said, (answer: Response) => unknown, object]>([
    [
      'refused() after a 200',
      usual,
      thrower(refused('declined')),
      { kind: 'refused', code: 'declined' },
    ],
    [
      'pending() after a 200',
      usual,
      thrower(pending('job_1')),
      { kind: 'pending', reference: 'job_1' },
    ],
    [
      'AmbiguousAnswer after a 200',
      usual,
      thrower(new AmbiguousAnswer(200, 'queued?')),
      { kind: 'in_doubt' },
    ],
    [
      'HTML in place of JSON',
      { status: 200, body: '<html>' },
      (answer) => answer.json(),
      { kind: 'in_doubt' },
    ],
    [
      'a throw after a 202',
      { status: 202, body: '{}' },
      thrower(new Error('no')),
      { kind: 'pending', reference: null },
    ],
    [
      'a throw after a 500',
      { status: 500, body: '{}' },
      thrower(new Error('no')),
      { kind: 'in_doubt' },
    ],
    [
      'a throw after a 409',
      { status: 409, body: '{}' },
      thrower(new Error('no')),
      { kind: 'in_doubt' },
    ],
    [
      'an empty body read as JSON',
      { status: 200, body: '' },
      (answer) => answer.json(),
      { kind: 'applied', output: null },
    ],
    [
      'a reference of 5 KB',
      usual,
      thrower(pending('j'.repeat(5_000))),
      { kind: 'pending', reference: null },
    ],
  ])('%s → what the receiver has said', async (_name, answered, then, expected) => {
    said = answered;
    const { outcome, receipts } = await perform(toolThen(then));
    expect(outcome).toMatchObject(expected);
    expect(receipts).toBe(1);
  });

  it('a refusal with a code and a message of 1 MB → cut: a model is told them', async () => {
    const long = 'é'.repeat(1_000_000);
    const { record } = await perform(toolThen(thrower(refused(long, long))));
    expect(record.state.status).toBe('refused');
    expect(Buffer.byteLength(record.state.code ?? '')).toBeLessThanOrEqual(200);
    expect(Buffer.byteLength(record.state.reason ?? '')).toBeLessThanOrEqual(4_096);
  });
});

describe('generated', () => {
  const faults = fc.oneof(
    fc.constantFrom(...RETURNED.filter(([name]) => !/MB|2\^30/.test(name))).map(([, make]) => make),
    fc.constantFrom(...THROWN).map(
      ([, make]) =>
        () =>
          Promise.reject(make() as Error),
    ),
    fc
      .anything({
        withBigInt: true,
        withMap: true,
        withDate: true,
        withNullPrototype: true,
        withSparseArray: true,
      })
      .map((value) => () => value),
    fc.constant((answer: Response) => answer.json()),
  );
  const answers = fc.record({
    status: fc.constantFrom(200, 201, 203, 206, 226, 299),
    body: fc.oneof(fc.json({ maxDepth: 5 }), fc.bigInt().map(String), fc.constant('')),
  });

  guarantee(
    'ours-is-not-theirs',
    'any answer, any fault of ours after it → applied, one receipt',
    async () => {
      const property = fc.asyncProperty(
        answers,
        faults,
        fc.constantFrom(...SCHEMAS).map(([, schema]) => schema),
        fc.constantFrom('once' as const, KEY),
        async (answered, fault, schema, effect) => {
          said = answered;
          const output = schema() as z.ZodType<Receipt>;
          const { outcome, receipts, record } = await perform(toolThen(fault, { output, effect }));
          expect(outcome.kind).toBe('applied');
          expect(record.state).toMatchObject({ status: 'applied', sends: 1, conflict: false });
          expect(receipts).toBe(1);
        },
      );
      await checkAsyncProperty(property, 100);
    },
  );
});
