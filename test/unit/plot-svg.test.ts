// The drawings of benchmarks: scales, curves, legend, and words that are no markup.
import { describe, expect, it } from '@jest/globals';
import { niceStep, type Panel, plotSvg } from '../../bench/plot-svg.ts';

const panel = (change: Partial<Panel> = {}): Panel => ({
  title: 'History',
  x: 'turn',
  y: 'KiB',
  curves: [
    {
      name: 'flat',
      points: [
        [1, 2],
        [100, 2],
      ],
    },
    {
      name: 'rising',
      points: [
        [1, 5],
        [100, 500],
      ],
    },
  ],
  ...change,
});

function pathsOf(svg: string, name: string): readonly string[] {
  return [...svg.matchAll(new RegExp(`<path class="curve ${name}" d="([^"]+)"`, 'g'))].map(
    ([, path = '']) => path,
  );
}

describe('niceStep', () => {
  it('any number → the next 1, 2 or 5 of its power of ten', () => {
    expect([0.03, 1, 1.2, 3, 7, 20, 99].map(niceStep)).toEqual([0.05, 1, 2, 5, 10, 20, 100]);
  });

  it('nothing to divide → 1', () => {
    expect([0, Number.NaN].map(niceStep)).toEqual([1, 1]);
  });
});

describe('plotSvg', () => {
  it('two curves → a line and a mark of the legend each, on axes from 0 to a round number', () => {
    const svg = plotSvg([panel()]);
    // 100 turns fill the width, 500 KiB the height; 2 KiB lie on the axis.
    expect(pathsOf(svg, 'curve0')).toEqual(['M78.2 251.2L696 251.2', 'M72 42H100']);
    expect(pathsOf(svg, 'curve1')[0]).toBe('M78.2 250.1L696 58');
    for (const label of ['>0<', '>100<', '>500<', '>turn<', '>KiB<', '>flat<', '>rising<']) {
      expect(svg).toContain(label);
    }
  });

  it('light and dark pages → colours for both, and dashes beside them', () => {
    const svg = plotSvg([panel()]);
    expect(svg).toContain('@media (prefers-color-scheme: dark)');
    expect(svg).toContain('.curve1 { stroke-dasharray: 7 4; }');
  });

  it('two panels → one below the other', () => {
    const svg = plotSvg([panel(), panel({ title: 'Events' })]);
    expect(svg).toContain('viewBox="0 0 720 600"');
    expect(svg).toContain('translate(0 300)');
  });

  it('one point → a dot', () => {
    const svg = plotSvg([panel({ curves: [{ name: 'alone', points: [[1, 1]] }] })]);
    expect(svg).toContain('<circle class="dot0" cx="696" cy="58"');
  });

  it('words with markup in them → escaped', () => {
    const svg = plotSvg([panel({ title: '<b> & "q"' })]);
    expect(svg).toContain('&lt;b&gt; &amp; &quot;q&quot;');
    expect(svg).not.toContain('<b>');
  });

  it('no point at all → RangeError with the title', () => {
    expect(() => plotSvg([panel({ curves: [] })])).toThrow(
      new RangeError('nothing to draw in "History"'),
    );
  });
});
