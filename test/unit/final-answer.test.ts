// A final answer as models write JSON: fenced in several ways, with a byte order mark.
import { describe, expect, it } from '@jest/globals';
import { parseJson, textOf } from '../../activities/runs/final-answer.ts';

const text = (words: string): string => textOf([{ kind: 'text', text: words }]);

describe('a final answer', () => {
  it.each([
    ['bare', '{"a":1}'],
    ['bare, after a BOM', '\ufeff{"a":1}'],
    ['```json', '```json\n{"a":1}\n```'],
    ['```JSON', '```JSON\n{"a":1}\n```\n'],
    ['```Json and blanks', ' ```Json  \n{"a":1}\n```  '],
    ['```json5', '```json5\n{"a":1}\n```'],
    ['a fence without a language', '```\n{"a":1}\n```'],
    ['CRLF', '```json\r\n{"a":1}\r\n```\r\n'],
    ['CR', '```json\r{"a":1}\r```'],
    ['a BOM before the fence', '\ufeff```json\n{"a":1}\n```'],
    ['a BOM in the fence', '```json\n\ufeff{"a":1}\n```'],
    ['one line', '```json {"a":1} ```'],
    ['no line end before the last fence', '```json\n{"a":1}```'],
  ])('%s → read', (_case, words) => {
    expect(parseJson(text(words))).toEqual({ a: 1 });
  });

  it('fences in a string of the JSON → kept', () => {
    const value = { a: '```json\nx\n```' };
    expect(parseJson(text(`\`\`\`json\n${JSON.stringify(value)}\n\`\`\``))).toEqual(value);
  });

  it.each([
    ['two fences', '```json\n{"a":1}\n```\n```json\n{"b":1}\n```'],
    ['words around the fence', 'Here:\n```json\n{"a":1}\n```'],
    ['nothing', ''],
    ['a BOM alone', '\ufeff'],
  ])('%s → no JSON', (_case, words) => {
    expect(parseJson(text(words))).toBeUndefined();
  });

  it('a text that is not fenced JSON → as it is', () => {
    for (const words of [' Hi.\n', '```python\nx = 1\n```', '```x```'])
      expect(text(words)).toBe(words);
  });
});
