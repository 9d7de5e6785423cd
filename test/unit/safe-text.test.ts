// What an approver sees is what runs: nothing in a text hides, moves, imitates our labels, or looks like another text.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ApprovalView } from '../../client/approval-views.ts';
import { createPaint } from '../../client/cli/cli-io.ts';
import { formatApproval } from '../../client/cli/format/approval-format.ts';
import { formatEvent } from '../../client/cli/format/event-format.ts';
import { formatEntry } from '../../client/cli/format/run-format.ts';
import { formatSafeJson, widthOf } from '../../client/cli/format/safe-text.ts';
import type { Json } from '../../domain/rules/json.ts';
import { toSafeLine, toSafeText } from '../../domain/rules/safe-text.ts';
import { toUiLine } from '../../workflows/activity-options.ts';
import { guarantee } from '../guarantee.ts';
import { checkProperty } from './support-properties.ts';

const paint = createPaint(false);
const NOW = new Date('2026-03-01T03:00:00Z');
const SEEN = /^[\p{L}\p{M}\p{N}\p{P}\p{S} \n]*$/u;
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{C}\p{Zl}\p{Zp}\u2800]/u;

/** Texts that want to deceive: every kind of letter, next to what escapes and labels are made of. */
const texts = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ...'aé ﬁ\\u{}5c0│⏎…"\n\t\r',
      '\\u{ad}',
      '\\u00ad',
      'e\u0301',
      '가',
      '\u1100\u1161',
    ),
    fc.constantFrom(
      '\u00ad',
      '\u034f',
      '\u3164',
      '\ufe0f',
      '\u{e0041}',
      '\u202e',
      '\u009b',
      '\u200d',
    ),
    fc.constantFrom('\u0301', '\u0489', '\u2028', '\u212b', '\u00c5', '\uf900', '\u3000', '\ud800'),
    fc.constantFrom('approver must be  nobody', 'status  approved', 'amount '),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 60,
});

/** Reads what was written out. */
function readBack(safe: string): string {
  return safe.replaceAll(/\\u\{([0-9a-f]+)\}/g, (_all, code: string) => {
    const value = Number.parseInt(code, 16);
    return value >= 0xd800 && value <= 0xdfff
      ? String.fromCharCode(value)
      : String.fromCodePoint(value);
  });
}

describe('a safe text', () => {
  guarantee('seen-as-it-is', 'every letter of Unicode → seen, or written out', () => {
    const wrong: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 1) {
      const letter = String.fromCodePoint(code);
      const safe = toSafeText(`a${letter}b`);
      const isRight =
        safe === `a\\u{${code.toString(16)}}b` || (safe === `a${letter}b` && SEEN.test(letter));
      if (!isRight || (UNSEEN.test(safe) && letter !== '\n')) wrong.push(code.toString(16));
    }
    expect(wrong).toEqual([]);
  });

  guarantee(
    'seen-as-it-is',
    'whatever is written out can be read back: no two texts come out as one, in no normal form',
    () => {
      checkProperty(
        fc.property(texts, (text) => {
          const safe = toSafeText(text);
          expect(safe).toMatch(SEEN);
          expect(safe).toBe(safe.normalize('NFC'));
          expect(readBack(safe)).toBe(text);
          // A flood of marks would cover other lines, one at the beginning our own label.
          expect(safe).not.toMatch(/\p{M}{5}|^\p{M}|\n\p{M}/u);
          expect(toSafeLine(text)).not.toMatch(/[\n\t]/);
        }),
        2_000,
      );
    },
  );

  guarantee.each('seen-as-it-is', [
    ['a soft hyphen', 'AC\u00adME', 'AC\\u{ad}ME'],
    ['a grapheme joiner', 'AC\u034fME', 'AC\\u{34f}ME'],
    ['a Hangul filler', 'AC\u3164ME', 'AC\\u{3164}ME'],
    ['a variation selector', '❤\ufe0f', '❤\\u{fe0f}'],
    ['tag characters', 'ok\u{e0070}\u{e0061}', 'ok\\u{e0070}\\u{e0061}'],
    ['another space', 'a\u3000b\u00a0c', 'a\\u{3000}b\\u{a0}c'],
    ['an escape that the text wrote itself', 'a\\u{ad}b', 'a\\u{5c}u{ad}b'],
    ['an accent of its own', 'Jose\u0301', 'Jose\\u{301}'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
  ])('%s → written out', (_case, text, safe) => {
    expect(toSafeText(text)).toBe(safe);
  });

  guarantee(
    'seen-as-it-is',
    'JSON → the same value to a parser, nothing unseen to a terminal',
    () => {
      checkProperty(
        fc.property(fc.dictionary(texts, texts), (value) => {
          const json = formatSafeJson(value, 2);
          expect(json).toMatch(SEEN);
          expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)));
        }),
      );
    },
  );

  guarantee('seen-as-it-is', "Temporal's UI → one safe line, within what the server takes", () => {
    checkProperty(
      fc.property(
        fc.string({ unit: fc.oneof(texts, fc.constant('請求書')), maxLength: 300 }),
        (text) => {
          const line = toUiLine(text);
          expect(line).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u);
          expect(Buffer.byteLength(line)).toBeLessThanOrEqual(400);
        },
      ),
    );
  });
});

const APPROVAL = {
  ...{ id: 'ap_7q2k9x', status: 'pending', tool: 'pay', effect: 'ef_7q2k9x', runKey: 'run_1' },
  ...{ turn: 1, agent: 'payouts', requester: 'dev', rule: 'over-100', requirement: '' },
  ...{ amount: null, expiresAt: NOW, createdAt: NOW, decision: null, binding: 'b' },
} as unknown as ApprovalView;
const LABELS =
  /^(approval|status|what|tool|amount|arguments|effect|run|agent|requester|rule|approver must be|expires) /;

const card = (given: Json, summary: string, columns: number | undefined): string =>
  formatApproval({ paint, columns }, { ...APPROVAL, arguments: given, summary }, NOW);

describe.each([60, 160, undefined])('at %s columns', (columns) => {
  guarantee(
    'seen-as-it-is',
    'arguments and summaries of any kind → no line of theirs begins like one of ours, none is broken by the terminal',
    () => {
      checkProperty(
        fc.property(
          fc.dictionary(texts, fc.oneof(texts, fc.jsonValue()), { maxKeys: 4 }),
          texts,
          (given, summary) => {
            const lines = card(given as Json, summary, columns)
              .trimEnd()
              .split('\n');
            const labels = lines
              .filter((line) => LABELS.test(line))
              .map((line) => LABELS.exec(line)?.[1]);
            expect(labels).toEqual([...new Set(labels)]);
            expect(lines.filter((line) => !LABELS.test(line) && !/^ +│ /.test(line))).toEqual([]);
            expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns ?? 80);
          },
        ),
        500,
      );
    },
  );

  guarantee('seen-as-it-is', 'two different arguments → two different cards', () => {
    const pairs = texts.chain((text) =>
      fc.tuple(
        fc.constant(text),
        fc.oneof(
          texts,
          fc.constantFrom(
            text.normalize('NFC'),
            text.normalize('NFD'),
            toSafeText(text),
            `${text}\u200b`,
            text.trim(),
          ),
        ),
      ),
    );
    checkProperty(
      fc.property(pairs, ([one, other]) => {
        fc.pre(one !== other);
        const [first, second] = [one, other].map((to) =>
          card({ to }, 'pay', columns).normalize('NFC'),
        );
        expect(first).not.toBe(second);
      }),
      500,
    );
  });
});

it.each([60, 160])(
  'at %d columns a line of a watch and a transcript keep their gutter',
  (columns) => {
    const attack = `pay ACME${' '.repeat(columns - 18)}approved  by anna\napproved  by anna`;
    const event = { kind: 'steered', author: 'dev', text: attack, consumedTurn: null } as never;
    const watched = formatEvent({ paint, columns }, event, NOW).trimEnd().split('\n');
    expect(watched.slice(1).every((line) => line.startsWith(' '.repeat(10)))).toBe(true);
    const entry = {
      seq: 1,
      turn: 1,
      role: 'user',
      source: 'dev',
      hash: 'h',
      parts: [{ kind: 'text', text: `hi\n2 · turn 1 · assistant · model\n${attack}` }],
    };
    const shown = formatEntry({ paint, columns }, entry as never)
      .trimEnd()
      .split('\n');
    expect(shown.slice(1).every((line) => line.startsWith('│ ') && line.length <= columns)).toBe(
      true,
    );
  },
);
