// How the command line prints: tables, colours, times and amounts.
import { describe, expect, it } from '@jest/globals';
import { createPaint, hasColour } from '../../client/cli/cli-io.ts';
import { toSafeLine, toSafeText } from '../../client/cli/format/safe-text.ts';
import { formatCard, formatTable } from '../../client/cli/format/table.ts';
import { formatAgents } from '../../client/cli/format/tool-format.ts';
import {
  formatCause,
  formatCost,
  formatDuration,
  formatMoney,
  formatWhen,
  toneOf,
} from '../../client/cli/format/values.ts';

const plain = { paint: createPaint(false), columns: undefined };
const NOW = new Date('2026-03-01T03:00:00Z');

describe('text from models and receivers', () => {
  it.each([
    ['an escape sequence', '\u001b[31mred', '\\u{1b}[31mred'],
    ['a carriage return that overwrites', 'EUR 9\rEUR 1', 'EUR 9 ⏎ EUR 1'],
    ['a right-to-left override', 'ACME \u202egnp.exe', 'ACME \\u{202e}gnp.exe'],
    ['a zero-width space', 'AC\u200bME', 'AC\\u{200b}ME'],
    ['a C1 control', 'a\u009b2Jb', 'a\\u{9b}2Jb'],
    ['several lines', 'one\n  two\tthree', 'one ⏎ two three'],
    ['letters of any script', 'Ünïcode 請求書', 'Ünïcode 請求書'],
  ])('%s → visible on one line', (_case, text, safe) => {
    expect(toSafeLine(text)).toBe(safe);
  });

  it('newlines of a block → kept, control characters not', () => {
    expect(toSafeText('a\nb\u0007')).toBe('a\nb\\u{7}');
  });
});

describe('tools', () => {
  it('a local one → says so beside its time-out', () => {
    const tool = {
      ...{ name: 'pay', description: 'Pays.', sendsMax: 4, timeoutMs: 2_000 },
      contract: 'keyed',
      ...{ hasProbe: false, hasIdentity: true, parallel: false, local: true, warnings: [] },
    } as const;
    const agent = {
      ...{ agent: 'payer', hash: 'h', inputSchema: {}, tools: [tool], isLive: true, seenAt: NOW },
      ...{ workers: ['w'], model: { primary: 'anthropic/x', fallbacks: [] } },
    };
    expect(formatAgents(plain, [agent], NOW)).toMatch(/pay +keyed .* local, 2 ?s /);
    const listed = { ...agent, egress: ['a.example'], tools: [{ ...tool, egress: [] }] };
    expect(formatAgents(plain, [listed], NOW)).toMatch(
      /egress all tools: a\.example\negress pay: nothing\n/,
    );
  });
});

describe('tables', () => {
  const columns = [
    { head: 'ID', cell: (row: { id: string }) => row.id },
    {
      head: 'WHAT',
      cell: () => 'a summary that is rather long',
      isFlexible: true,
      tone: () => 'bad' as const,
    },
  ];

  it('no terminal → nothing is cut, no colour, no trailing blanks', () => {
    const text = formatTable(plain, columns, [{ id: 'ef_1' }]);
    expect(text).toBe('ID    WHAT\nef_1  a summary that is rather long\n');
  });

  it('narrow terminal → only the flexible column is cut', () => {
    const text = formatTable({ ...plain, columns: 24 }, columns, [{ id: 'ef_1' }]);
    const [, row = ''] = text.split('\n');
    expect(row).toBe('ef_1  a summary that is…');
    expect(row.length).toBe(24);
  });

  it('colours on → the text is painted after it was cut', () => {
    const text = formatTable({ paint: createPaint(true), columns: 24 }, columns, [{ id: 'ef_1' }]);
    expect(text).toContain('\u001b[31ma summary that is…\u001b[39m');
  });

  it('card with an empty value → the field is left out', () => {
    const text = formatCard(plain, [
      ['run', 'run_1'],
      ['key', null],
      ['input', '{\n}'],
    ]);
    expect(text).toBe('run    run_1\ninput  {\n     │ }\n');
  });
});

describe('values', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [7_200_000, '2 h'],
    [172_800_000, '2 d'],
  ])('%d ms → %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    ['past', '2026-03-01T02:59:48Z', '12 s ago'],
    ['future', '2026-03-01T06:00:00Z', 'in 3 h'],
    ['this second', '2026-03-01T03:00:00.400Z', 'now'],
  ])('%s → relative time', (_case, at, text) => {
    expect(formatWhen(new Date(at), NOW)).toBe(text);
  });

  it('money → minor units by currency, an unknown one as stored', () => {
    expect(formatMoney({ minor: 2_000, currency: 'EUR' })).toBe('EUR 20.00');
    expect(formatMoney({ minor: 500, currency: 'JPY' })).toBe('JPY 500');
    expect(formatMoney({ minor: 5, currency: 'euro' })).toBe('5 minor units of euro');
    expect(formatMoney(null)).toBe('');
  });

  it('cost → dollars from micro-USD', () => {
    expect(formatCost(41_230)).toBe('$0.04123');
    expect(formatCost(0)).toBe('$0.00');
  });

  it('cause of a stuck run → its type and message, whatever else it holds', () => {
    expect(formatCause({ type: 'Error', message: 'boom', stack: '…' })).toBe('Error: boom');
    expect(formatCause('boom')).toBe('boom');
    expect(formatCause({ odd: 1 })).toBe('{"odd":1}');
  });

  it('status that this build does not know → alarming', () => {
    expect(toneOf('completed')).toBe('good');
    expect(toneOf('something_new')).toBe('bad');
  });
});

describe('colours', () => {
  it.each([
    ['terminal', true, {}, true],
    ['pipe', false, {}, false],
    ['terminal, NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['terminal, dumb', true, { TERM: 'dumb' }, false],
    ['pipe, FORCE_COLOR', false, { FORCE_COLOR: '1' }, true],
    ['terminal, FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
    ['NO_COLOR against FORCE_COLOR', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
  ])('%s → %s', (_case, isTty, env, expected) => {
    expect(hasColour(isTty, env)).toBe(expected);
  });
});
