// Pages that say how the code is, held against it: states, failure types, environment variables, decisions.
import { describe, expect, it } from '@jest/globals';
import { EffectStatus, type Fact, foldFact, INTENDED } from '../../domain/rules/effect.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import { nextMove } from '../../domain/rules/next-move.ts';
import { readHouse } from './house-files.ts';

const house = readHouse();

function page(name: string): string {
  const text = house.find(({ path: file }) => file === name)?.text;
  if (text === undefined) throw new Error(`${name} is missing`);
  return text;
}

const FACTS: readonly Fact[] = [
  { kind: 'intended' },
  { kind: 'dispatched' },
  { kind: 'not_sent', reason: '' },
  { kind: 'ambiguous', reason: '' },
  { kind: 'applied', source: 'response', output: null },
  { kind: 'refused', source: 'response', code: '', message: '' },
  { kind: 'probed_absent' },
  { kind: 'probed_unclear', reason: '' },
  { kind: 'doubted', reason: '' },
  { kind: 'withdrawn', code: '', message: '' },
];

/** A dispatch is a fact only where the rules allow a send. */
function maySend(status: EffectStatus): boolean {
  const move = nextMove(
    {
      contract: 'keyed',
      state: { ...INTENDED, status },
      firstSentAtMs: 0,
      leaseUntilMs: 0,
      keyRetentionMs: 1_000,
      hasProbe: false,
      sendsMax: 4,
    },
    1,
  );
  return move.kind === 'send' || move.kind === 'resend';
}

/** `from --> to: facts`, for every fact that changes the state. */
function readTransitions(): string[] {
  return Object.values(EffectStatus).flatMap((from) => {
    const sends = from === 'intended' ? 0 : 1;
    const arrows = new Map<string, string[]>();
    for (const fact of FACTS) {
      if (fact.kind === 'dispatched' && !maySend(from)) continue;
      const to = foldFact({ ...INTENDED, status: from, sends }, fact).status;
      if (to !== from) arrows.set(to, [...(arrows.get(to) ?? []), fact.kind]);
    }
    return [...arrows].map(([to, kinds]) => `${from} --> ${to}: ${kinds.join(', ')}`);
  });
}

describe('docs/effects.md', () => {
  it('the diagram of states → the transitions of the rules', () => {
    const [, diagram = ''] = page('docs/effects.md').split('stateDiagram-v2\n');
    const arrows = (diagram.split('```')[0] ?? '').split('\n').map((line) => line.trim());
    const drawn = arrows.filter((line) => line !== '' && !line.startsWith('[*]'));
    expect(drawn.sort()).toEqual(readTransitions().sort());
  });
});

describe('docs/errors.md', () => {
  const headings = [...page('docs/errors.md').matchAll(/^### (\S+)$/gm)].map(([, name]) => name);

  it('every failure type → a heading of its own, and no other one', () => {
    expect(headings.sort()).toEqual(Object.values(FailureType).sort());
  });
});

describe('docs/operating.md', () => {
  const text = page('docs/operating.md');

  it.each(['workers/config.ts', 'client/settings.ts'])('every variable of %s → named', (file) => {
    const source = page(file);
    const read = [...source.matchAll(/^ {2}([A-Z][A-Z0-9_]+): z\.|env\['([A-Z][A-Z0-9_]+)'\]/gm)];
    const names = read.map(([, schema, direct]) => schema ?? direct ?? '');
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/decisions/', () => {
  const decisions = house.filter(({ path: file }) => /^docs\/decisions\/\d/.test(file));

  it('each → numbered without a gap, with status, problem, decision and alternatives', () => {
    const numbers = decisions
      .map(({ path: file }) => Number(/\d{4}/.exec(file)?.[0]))
      .sort((a, b) => a - b);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    for (const { text } of decisions) {
      const sections = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
      expect(sections).toEqual(['Problem', 'Decision', 'Alternatives']);
      expect(text).toMatch(/^# \d{4} .+\n\nStatus: accepted/);
    }
  });
});
