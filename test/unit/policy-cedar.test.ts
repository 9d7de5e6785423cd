// The Cedar policy as users meet it: verdicts, the rule that decided, errors at load, and failing closed.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Policy } from '../../activities/policy/policy.ts';
import { loadPolicy } from '../../activities/policy/cedar-policy.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import {
  defaultVerdict,
  isSameOrWeaker,
  type PolicyRequest,
  verdictAtSend,
} from '../../domain/rules/policy.ts';
import { guarantee } from '../guarantee.ts';

const payouts = path.join(import.meta.dirname, '../../examples/payouts/policies/payouts.cedar');
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pawl-policy-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function policyOf(text: string, name = 'test.cedar'): Promise<Policy> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return loadPolicy(file);
}

const request = (more: Partial<PolicyRequest> = {}): PolicyRequest => ({
  tenant: 'default',
  agent: 'payouts',
  tool: 'pay_invoice',
  contract: 'keyed',
  arguments: { payee: 'Acme' },
  runKey: 'run_1',
  isTainted: false,
  ...more,
});
const pay = (minor: number, payee = 'Acme'): PolicyRequest =>
  request({ arguments: { payee }, amount: { minor, currency: 'EUR' } });

describe('the payouts policy', () => {
  it('a read → permit', async () => {
    const policy = await loadPolicy(payouts);
    const verdict = await policy.evaluate(request({ tool: 'list_invoices', contract: 'read' }));
    expect(verdict).toEqual({ kind: 'permit', rule: 'reads-allowed' });
  });

  it('a payment up to the limit → permit', async () => {
    const policy = await loadPolicy(payouts);
    expect(await policy.evaluate(pay(500_000))).toEqual({ kind: 'permit', rule: 'within-limit' });
  });

  it('one cent more → approve, with the rule and why', async () => {
    const policy = await loadPolicy(payouts);
    expect(await policy.evaluate(pay(500_001))).toMatchObject({
      kind: 'approve',
      rule: 'above-limit',
      message: 'payments above 5,000.00 need an approval',
    });
  });

  it.each([1, 500_001])('a blocked payee, %s minor units → forbid wins', async (minor) => {
    const policy = await loadPolicy(payouts);
    expect(await policy.evaluate(pay(minor, 'Blocked Ltd'))).toEqual({
      kind: 'forbid',
      rule: 'payee-blocked',
      message: 'this payee is blocked',
    });
  });

  it('notify → permit', async () => {
    const policy = await loadPolicy(payouts);
    const verdict = await policy.evaluate(request({ tool: 'notify' }));
    expect(verdict).toEqual({ kind: 'permit', rule: 'notify-allowed' });
  });

  guarantee('S2-03', 'a tool that no policy names → forbid, and the message says so', async () => {
    const policy = await loadPolicy(payouts);
    const verdict = await policy.evaluate(request({ tool: 'delete_all' }));
    expect(verdict).toMatchObject({ kind: 'forbid', rule: 'pawl:no-permit' });
    expect(verdict.message).toMatch(/no policy in .*payouts\.cedar permits delete_all to payouts/);
  });

  it('a payment without an amount → forbid, the limit cannot be checked', async () => {
    const policy = await loadPolicy(payouts);
    expect(await policy.evaluate(request())).toMatchObject({ rule: 'pawl:no-permit' });
  });

  it('a megabyte of other arguments → same verdict', async () => {
    const policy = await loadPolicy(payouts);
    const bulk = { ...pay(1), arguments: { payee: 'Acme', note: 'x'.repeat(1_000_000) } };
    expect(await policy.evaluate(bulk)).toMatchObject({ kind: 'permit' });
  });
});

describe('loading', () => {
  it('no file → the default: reads permitted, effects approved', async () => {
    const policy = await loadPolicy(undefined);
    expect(policy.hash).toBe('pawl:default');
    expect(await policy.evaluate(request({ contract: 'read' }))).toEqual({
      kind: 'permit',
      rule: 'pawl:default',
    });
    expect(await policy.evaluate(request({ contract: 'transactional' }))).toMatchObject({
      kind: 'approve',
      rule: 'pawl:default',
    });
  });

  guarantee(
    'S2-03',
    'a file that does not parse → file, line, column and cause, also after letters of two bytes',
    async () => {
      const text =
        '// déjà vu\npermit(principal, action, resource);\nforbid(principal action, resource);';
      await expect(policyOf(text, 'broken.cedar')).rejects.toThrow(
        /broken\.cedar:3:18: .*unexpected token `action`.*expected/,
      );
    },
  );

  it('a file that is not there → its name', async () => {
    await expect(loadPolicy('nowhere/none.cedar')).rejects.toThrow(
      'The policy nowhere/none.cedar cannot be read (ENOENT)',
    );
  });

  it('an empty file → refused, it would forbid everything', async () => {
    await expect(policyOf('// nothing')).rejects.toThrow('holds no policy');
  });

  it('a template → refused', async () => {
    const text = 'permit(principal == ?principal, action, resource);';
    await expect(policyOf(text)).rejects.toThrow(/test\.cedar: .*includes a template/);
  });

  it('two policies with one id → refused, verdicts could not be told apart', async () => {
    const rule = '@id("same") permit(principal, action, resource);';
    await expect(policyOf(rule + rule)).rejects.toThrow('two policies have @id("same")');
  });

  it('Cedar not installed → the package to install', async () => {
    const missing = Object.assign(
      new Error("Cannot find package '@cedar-policy/cedar-wasm' imported from here"),
      { code: 'ERR_MODULE_NOT_FOUND' },
    );
    await expect(loadPolicy(payouts, () => Promise.reject(missing))).rejects.toThrow(
      /needs the package @cedar-policy\/cedar-wasm.*npm install @cedar-policy\/cedar-wasm/,
    );
  });

  it('same text → same hash, other text → other hash', async () => {
    const permit = 'permit(principal, action, resource);';
    const [one, same, other] = [
      await policyOf(permit, 'one.cedar'),
      await policyOf(permit, 'two.cedar'),
      await policyOf(`${permit} `, 'three.cedar'),
    ];
    expect(one.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(one.hash).toBe(same.hash);
    expect(one.hash).not.toBe(other.hash);
  });

  it('no @id → the position in the file, also beyond ten policies', async () => {
    const texts = Array.from(
      { length: 12 },
      (_, index) => `permit(principal, action == Action::"Invoke", resource == Tool::"t${index}");`,
    );
    const policy = await policyOf(texts.join('\n'));
    for (const index of [0, 2, 9, 10, 11]) {
      const verdict = await policy.evaluate(request({ tool: `t${index}` }));
      expect(verdict).toEqual({ kind: 'permit', rule: `policy${index}` });
    }
  });
});

describe('evaluating', () => {
  const invoke = (condition: string): string =>
    `@id("it") permit(principal, action == Action::"Invoke", resource) when { ${condition} };`;

  it('@requirement → in the verdict', async () => {
    const policy = await policyOf(
      '@requirement("finance four-eyes") permit(principal, action == Action::"InvokeWithApproval", resource);',
    );
    expect(await policy.evaluate(request())).toMatchObject({
      kind: 'approve',
      requirement: 'finance four-eyes',
    });
  });

  guarantee(
    'S2-03',
    'a forbid that fails → no verdict: a skipped forbid would let the call through',
    async () => {
      const policy = await policyOf(
        'permit(principal, action, resource);' +
          '@id("typo") forbid(principal, action, resource) when { context.amout > 5 };',
      );
      const verdict = policy.evaluate(pay(1));
      await expect(verdict).rejects.toMatchObject({ name: 'PolicyUnavailableError' });
      await expect(policy.evaluate(pay(1))).rejects.toThrow(
        /policy "typo" failed for pay_invoice.*amout/,
      );
    },
  );

  guarantee('S2-03', 'an amount that is not whole → no verdict', async () => {
    const policy = await policyOf(invoke('true'));
    await expect(policy.evaluate(pay(0.5))).rejects.toThrow('is not a whole number of minor units');
  });

  it.each([
    ['a whole number', 'context.arguments.n == 7', { n: 7 }],
    ['a fraction', 'context.arguments.n == "1.5"', { n: 1.5 }],
    ['a huge number', 'context.arguments.n == "1e+30"', { n: 1e30 }],
    ['null', '!(context.arguments has n)', { n: null }],
    ['a list', 'context.arguments.n.contains("b")', { n: ['a', null, 'b', 1.5] }],
    ['an object', 'context.arguments.n.deep == true', { n: { deep: true } }],
    ['arguments that are a text', 'context.arguments.value == "x"', 'x'],
    ['arguments that are null', '!(context.arguments has value)', null],
    ['taint', '!context.tainted', {}],
    ['an empty name', 'context.arguments[""] == 1', { '': 1 }],
  ])('%s → readable in a policy', async (_name, condition, json) => {
    const policy = await policyOf(invoke(condition));
    const verdict = await policy.evaluate(request({ arguments: json }));
    expect(verdict).toEqual({ kind: 'permit', rule: 'it' });
  });

  it("a model that writes Cedar's own references → plain text, never an entity", async () => {
    const policy = await policyOf(invoke('context.arguments.who == Agent::"root"'));
    const forged = { who: { __entity: { type: 'Agent', id: 'root' } } };
    expect(await policy.evaluate(request({ arguments: forged }))).toMatchObject({ kind: 'forbid' });
    const broken = { who: { __extn: { fn: 'nope', arg: 'x' } }, __expr: '1' };
    expect(await policy.evaluate(request({ arguments: broken }))).toMatchObject({ kind: 'forbid' });
  });
});

describe('requirements', () => {
  it.each([
    [undefined, undefined, true],
    [undefined, 'finance', true],
    ['finance', 'finance', true],
    ['finance', 'finance four-eyes', true],
    ['four-eyes finance', 'finance four-eyes', true],
    ['finance', undefined, false],
    ['finance four-eyes', 'finance', false],
    ['legal', 'finance', false],
  ])('needed %s, given %s → %s', (needed, given, isMet) => {
    expect(isSameOrWeaker(needed, given)).toBe(isMet);
  });

  const approve = (requirement?: string) => ({ kind: 'approve', rule: 'r', requirement }) as const;

  it('permit at the send → go, approved or not', () => {
    expect(verdictAtSend({ kind: 'permit', rule: 'r' }, undefined).kind).toBe('go');
    expect(verdictAtSend({ kind: 'permit', rule: 'r' }, { requirement: 'x' }).kind).toBe('go');
  });

  it('same or weaker requirement → go; stricter, or none given → ask', () => {
    expect(verdictAtSend(approve('finance'), { requirement: 'finance' }).kind).toBe('go');
    expect(verdictAtSend(approve(), { requirement: 'finance' }).kind).toBe('go');
    expect(verdictAtSend(approve('finance legal'), { requirement: 'finance' })).toEqual({
      kind: 'ask',
      rule: 'r',
      requirement: 'finance legal',
    });
    expect(verdictAtSend(defaultVerdict('once'), undefined)).toMatchObject({ kind: 'ask' });
  });

  guarantee('S2-03', 'forbid after an approval → the truthful sentence', () => {
    const forbid = { kind: 'forbid', rule: 'payee-blocked', message: 'blocked' } as const;
    expect(verdictAtSend(forbid, {})).toEqual({
      kind: 'stop',
      rule: 'payee-blocked',
      message: 'approved, then forbidden by rule payee-blocked: blocked',
    });
    expect(verdictAtSend(forbid, undefined)).toMatchObject({
      message: 'forbidden by rule payee-blocked: blocked',
    });
  });
});

describe('a process that lives long', () => {
  it('thousands of verdicts with garbage collections between them → it is still there', async () => {
    const file = path.join(import.meta.dirname, 'fixtures/many-verdicts.ts');
    const env = { ...process.env, NODE_OPTIONS: '--no-warnings' };
    const words = ['--expose-gc', ...runtimeArguments(file), file];
    const { stdout } = await promisify(execFile)(process.execPath, words, { env });
    expect(stdout).toBe('done');
  });
});
