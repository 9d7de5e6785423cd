// The classification table, one row per case (requirement S0-07).
import { describe, expect, it } from '@jest/globals';
import { classify, type ModelCallFacts } from '../../domain/rules/classify.ts';
import { guarantee } from '../guarantee.ts';

type Http = Partial<Extract<ModelCallFacts, { kind: 'http' }>>;
const http = (status: number, more: Http = {}): ModelCallFacts => ({
  kind: 'http',
  provider: 'anthropic',
  status,
  message: 'said so',
  ...more,
});
const bare = (kind: 'timeout' | 'aborted' | 'cut' | 'unparsable' | 'refusal' | 'max-tokens') => ({
  kind,
  provider: 'anthropic',
  message: 'said so',
});
const network = (code: string): ModelCallFacts => ({
  kind: 'network',
  provider: 'openai',
  code,
  message: 'fetch failed',
});

// name, facts, type, retryable, may fail over, page
const rows: ReadonlyArray<[string, ModelCallFacts, string, boolean, boolean, boolean]> = [
  ['400', http(400), 'Model.RequestInvalid', false, false, true],
  ['401', http(401), 'Model.Authentication', false, true, true],
  ['402', http(402), 'Model.QuotaExhausted', false, true, true],
  ['403', http(403), 'Model.Authentication', false, true, true],
  ['404', http(404), 'Model.RequestInvalid', false, true, true],
  ['408', http(408), 'Model.Unavailable', true, true, false],
  ['409', http(409), 'Model.Unavailable', true, true, false],
  ['413', http(413), 'Model.ContextOverflow', false, true, false],
  ['418, any other 4xx', http(418), 'Model.RequestInvalid', false, false, true],
  ['422', http(422), 'Model.RequestInvalid', false, false, true],
  ['425', http(425), 'Model.Unavailable', true, true, false],
  ['429', http(429), 'Model.RateLimited', true, true, false],
  ['500', http(500), 'Model.Unavailable', true, true, false],
  ['502', http(502), 'Model.Unavailable', true, true, false],
  ['503', http(503), 'Model.Unavailable', true, true, false],
  ['504', http(504), 'Model.Unavailable', true, true, false],
  ['529', http(529), 'Model.Overloaded', true, true, false],
  [
    'overloaded_error under another status',
    http(503, { errorType: 'overloaded_error' }),
    'Model.Overloaded',
    true,
    true,
    false,
  ],
  [
    'OpenAI 429 insufficient_quota',
    http(429, { provider: 'openai', errorCode: 'insufficient_quota' }),
    'Model.QuotaExhausted',
    false,
    true,
    true,
  ],
  [
    'OpenAI 429 rate_limit_exceeded',
    http(429, { provider: 'openai', errorCode: 'rate_limit_exceeded' }),
    'Model.RateLimited',
    true,
    true,
    false,
  ],
  [
    'Anthropic 400 without credit',
    http(400, { message: 'Your credit balance is too low to access the Anthropic API.' }),
    'Model.QuotaExhausted',
    false,
    true,
    true,
  ],
  [
    'OpenAI 400 context_length_exceeded',
    http(400, { provider: 'openai', errorCode: 'context_length_exceeded' }),
    'Model.ContextOverflow',
    false,
    true,
    false,
  ],
  [
    'Anthropic 400 prompt is too long',
    http(400, { message: 'prompt is too long: 210000 tokens > 200000 maximum' }),
    'Model.ContextOverflow',
    false,
    true,
    false,
  ],
  ['ECONNRESET', network('ECONNRESET'), 'Model.Unavailable', true, true, false],
  ['ECONNREFUSED', network('ECONNREFUSED'), 'Model.Unavailable', true, true, false],
  ['ETIMEDOUT', network('ETIMEDOUT'), 'Model.Unavailable', true, true, false],
  ['ENOTFOUND', network('ENOTFOUND'), 'Model.Unavailable', true, true, false],
  ['expired certificate', network('CERT_HAS_EXPIRED'), 'Model.Unavailable', true, true, true],
  ['time-out', bare('timeout'), 'Model.Unavailable', true, true, false],
  ['truncated stream', bare('cut'), 'Model.Unavailable', true, true, false],
  ['malformed answer', bare('unparsable'), 'Model.AnswerInvalid', true, true, false],
  ['aborted by us', bare('aborted'), 'Run.Cancelled', false, false, false],
  ['refusal', bare('refusal'), 'Model.AnswerInvalid', false, false, false],
  ['max_tokens stop', bare('max-tokens'), 'Model.AnswerInvalid', false, false, false],
  [
    'no key',
    { kind: 'not-configured', provider: 'openai', message: '' },
    'Model.NotConfigured',
    false,
    true,
    true,
  ],
  [
    'no SDK',
    { kind: 'not-installed', provider: 'openai', packageName: 'openai', message: '' },
    'Model.NotConfigured',
    false,
    true,
    true,
  ],
];

describe('classify', () => {
  guarantee.each('S0-07', [...rows])(
    '%s → its row',
    (_name, facts, type, retryable, mayFailOver, page) => {
      const { hint, retryAfterMs, ...row } = classify(facts);
      expect(row).toEqual({ type, retryable, mayFailOver, page });
      expect(retryAfterMs).toBeUndefined();
      expect(hint).not.toMatch(/undefined|^$/);
    },
  );

  guarantee('S0-07', 'every status there is → a row', () => {
    for (let status = 300; status < 600; status += 1)
      expect(classify(http(status)).type).toMatch(/^Model\./);
  });

  guarantee('S0-07', 'retry-after on a retryable status → handed on', () => {
    expect(classify(http(429, { retryAfterMs: 7_123 })).retryAfterMs).toBe(7_123);
    expect(classify(http(529, { retryAfterMs: 0 })).retryAfterMs).toBe(0);
  });

  guarantee('S0-07', 'retry-after on an exhausted quota → dropped, waiting does not help', () => {
    const facts = http(429, { errorCode: 'insufficient_quota', retryAfterMs: 1_000 });
    expect(classify(facts).retryAfterMs).toBeUndefined();
  });

  it('wrong key → the hint names the variable to check', () => {
    expect(classify(http(401)).hint).toContain('check ANTHROPIC_API_KEY');
    expect(classify(http(401, { provider: 'openai' })).hint).toContain('check OPENAI_API_KEY');
    expect(classify(http(401, { provider: 'groq' })).hint).toContain('the API key of groq');
  });

  it('missing SDK → the hint is the command to run', () => {
    const packageName = '@anthropic-ai/sdk';
    const facts = {
      kind: 'not-installed',
      provider: 'anthropic',
      packageName,
      message: '',
    } as const;
    expect(classify(facts).hint).toBe('run: npm install @anthropic-ai/sdk');
  });
});
