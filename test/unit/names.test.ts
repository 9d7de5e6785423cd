// When two names are one person.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { INVISIBLE_RANGES, isSameName, normaliseName } from '../../domain/rules/names.ts';
import { guarantee } from '../guarantee.ts';
import { checkProperty } from './support-properties.ts';

describe('names', () => {
  guarantee.each('names-compared', [
    ['ALICE', 'another case'],
    [' alice  ', 'spaces around'],
    ['Al\u200bice', 'a zero-width space'],
    ['Al\u00adice', 'a soft hyphen'],
    ['\u202eAlice', 'a change of direction'],
    ['Alice\u{e0041}', 'a tag character'],
    ['Alice\ufe0f', 'a variation selector'],
    ['Ａｌｉｃｅ', 'full-width letters'],
    ['𝐀𝐥𝐢𝐜𝐞', 'mathematical letters'],
  ])('%j is Alice: %s', (name) => {
    expect(isSameName(name, 'Alice')).toBe(true);
  });

  it.each([
    ['Straße', 'STRASSE'],
    ['Ὀδυσσεύς', 'ὈΔΥΣΣΕΎΣ'],
    ['Jose\u0301', 'José'],
  ])('%j and %j are one name', (one, other) => {
    expect(isSameName(one, other)).toBe(true);
  });

  it('names that differ in a letter that is seen stay two', () => {
    for (const other of ['Alicia', 'Al ice', 'Álice', 'A1ice']) {
      expect(isSameName('Alice', other)).toBe(false);
    }
  });

  it('a look-alike of another script is another name, as docs/threat-model.md says', () => {
    expect(isSameName('Alice', '\u0410lice')).toBe(false);
  });

  it('a normal form is its own normal form', () => {
    checkProperty(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const form = normaliseName(name);
        expect(normaliseName(form)).toBe(form);
      }),
    );
  });

  it('the invisible letters are those of Unicode: default-ignorable, format, control, separators', () => {
    const unicode = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Zl}\p{Zp}\u2800]/u;
    const wrong: string[] = [];
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += 1) {
      if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue;
      const isOurs = INVISIBLE_RANGES.some(([from, to]) => from <= codePoint && codePoint <= to);
      if (isOurs !== unicode.test(String.fromCodePoint(codePoint)))
        wrong.push(codePoint.toString(16));
    }
    expect(wrong).toEqual([]);
  });
});
