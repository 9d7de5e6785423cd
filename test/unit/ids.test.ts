// Effect ids and run keys: no two addresses share an id, whatever their parts are named.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type EffectAddress, effectId, isRunKey } from '../../domain/rules/ids.ts';
import { checkProperty } from './support-properties.ts';
import { guarantee } from '../guarantee.ts';

const address: EffectAddress = {
  tenant: 'acme',
  rootKey: 'run_01J',
  path: ['child', 'grandchild'],
  turn: 3,
  call: '0',
  generation: 0,
};

// Names that try to look like something else: quotes, brackets, digits, separators, lone surrogates.
const name = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
  fc.constantFrom(
    '1',
    '0',
    '"',
    '","',
    '",0,"',
    '[',
    ']',
    '\\',
    '\\"',
    '\u0000',
    '\ud800',
    '/',
    ' ',
  ),
);
const addresses: fc.Arbitrary<EffectAddress> = fc.record({
  tenant: name,
  rootKey: name,
  path: fc.array(name, { maxLength: 4 }),
  turn: fc.nat({ max: 3 }),
  call: name,
  generation: fc.nat({ max: 3 }),
});

describe('effect ids', () => {
  guarantee('law-01-ids', 'an address → a JSON array of its parts, in this order', () => {
    expect(effectId(address)).toBe('["acme","run_01J","child","grandchild",3,"0",0]');
  });

  it('a root run → no path in it', () => {
    expect(effectId({ ...address, path: [] })).toBe('["acme","run_01J",3,"0",0]');
  });

  it('any address → its parts can be read back, so no two addresses share an id', () => {
    checkProperty(
      fc.property(addresses, (each) => {
        const parts = JSON.parse(effectId(each)) as unknown[];
        const [tenant, rootKey, ...rest] = parts;
        const [turn, call, generation] = rest.slice(-3);
        expect({ tenant, rootKey, path: rest.slice(0, -3), turn, call, generation }).toEqual(each);
      }),
    );
  });

  guarantee('law-01-ids', 'two addresses → the same id exactly when they are the same', () => {
    checkProperty(
      fc.property(addresses, addresses, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        return (effectId(one) === effectId(other)) === isSame;
      }),
      5_000,
    );
  });

  it('one part moved to its neighbour → another id', () => {
    const moved: readonly Partial<EffectAddress>[] = [
      { path: ['child'], call: 'grandchild' },
      { path: ['child","grandchild'] },
      { path: ['child', 'grandchild', '3'] },
      { tenant: 'acme","run_01J', rootKey: 'child' },
      { turn: 0, call: '3' },
      { generation: 1 },
    ];
    const ids = moved.map((change) => effectId({ ...address, ...change }));
    expect(new Set([...ids, effectId(address)]).size).toBe(moved.length + 1);
  });

  it('any address → text that every database and wire takes: no control character, no lone surrogate', () => {
    checkProperty(
      fc.property(addresses, (each) => {
        const id = effectId(each);
        const hasControl = [...id].some((letter) => (letter.codePointAt(0) ?? 0) < 32);
        return !hasControl && Buffer.from(id, 'utf8').toString('utf8') === id;
      }),
    );
  });

  it.each([
    ['root key', { rootKey: '' }],
    ['call', { call: '' }],
  ])('an empty %s → an invariant violation that names it', (part, change) => {
    expect(() => effectId({ ...address, ...change })).toThrow(`an effect id needs a ${part}`);
  });

  it.each([Number.NaN, Infinity, 0.5, -1])(
    'a turn or generation of %p → refused: JSON would merge them',
    (odd) => {
      const violation = expect.objectContaining({ name: 'InvariantViolation' });
      expect(() => effectId({ ...address, turn: odd })).toThrow(violation);
      expect(() => effectId({ ...address, generation: odd })).toThrow(violation);
    },
  );
});

describe('run keys', () => {
  it.each([
    ['run_01J9ZQ3V7T8KX4M2N6P5R0S1AB', true],
    ['run_01j9zq3v7t8kx4m2n6p5r0s1ab', false],
    ['run_01J9ZQ3V7T8KX4M2N6P5R0S1A', false],
    ['run_01J9ZQ3V7T8KX4M2N6P5R0S1ABC', false],
    ['run_01J9ZQ3V7T8KX4M2N6P5R0S1AI', false],
    ['01J9ZQ3V7T8KX4M2N6P5R0S1AB', false],
    ['run_01J9ZQ3V7T8KX4M2N6P5R0S1AB\n', false],
    ['', false],
  ])('%p → %p', (text, expected) => {
    expect(isRunKey(text)).toBe(expected);
  });
});
