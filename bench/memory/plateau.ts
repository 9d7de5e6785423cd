// Whether a series of memory samples grows: the Theil–Sen slope behind the warm-up, with its confidence interval. Pure.

/** Memory after so many units of work, at a moment when nothing is under way. */
export interface Point {
  readonly runs: number;
  readonly mb: number;
}

export interface Growth {
  /** The median of the slopes of all pairs, in KB a run. */
  readonly kbPerRun: number;
  /** The interval that holds the slope with 95 % confidence, in KB a run. */
  readonly fromKb: number;
  readonly toKb: number;
  /** The points that the slope is of. */
  readonly points: number;
  /** `unclear`: the interval holds the limit, so there are too few runs to say. */
  readonly verdict: 'plateau' | 'leak' | 'unclear';
}

/** Fewer have no interval of 95 %. */
const POINTS_MIN = 8;
/** Of the normal distribution: 95 % lie within so many standard deviations. */
const Z_95 = 1.96;

/**
 * Growth behind the first `warmUpRuns`, when caches have filled and code is compiled. A point far off does not move the
 * slope, and noise widens its interval: a plateau is an interval below `kbPerRunMax`, a leak one above it.
 * Throws a `RangeError` for too few points.
 */
export function judgeGrowth(
  series: readonly Point[],
  { warmUpRuns, kbPerRunMax }: { readonly warmUpRuns: number; readonly kbPerRunMax: number },
): Growth {
  const warm = series.filter(({ runs }) => runs >= warmUpRuns);
  if (warm.length < POINTS_MIN) {
    throw new RangeError(`${warm.length} samples behind the warm-up: ${POINTS_MIN} are needed`);
  }
  const slopes = slopesOfPairs(warm);
  const [from, to] = boundsOf(slopes.length, warm.length);
  const [kbPerRun, fromKb, toKb] = [
    at(slopes, (slopes.length - 1) / 2),
    at(slopes, from),
    at(slopes, to),
  ];
  const verdict = toKb <= kbPerRunMax ? 'plateau' : fromKb > kbPerRunMax ? 'leak' : 'unclear';
  return { kbPerRun, fromKb, toKb, points: warm.length, verdict };
}

/** In KB a run, in ascending order. */
function slopesOfPairs(points: readonly Point[]): number[] {
  return points
    .flatMap((a, index) =>
      points
        .slice(index + 1)
        .filter((b) => b.runs > a.runs)
        .map((b) => ((b.mb - a.mb) * 1_024) / (b.runs - a.runs)),
    )
    .sort((a, b) => a - b);
}

/** The ranks of the interval's ends among the slopes, by the variance of Kendall's statistic (Sen 1968). */
function boundsOf(slopes: number, points: number): [number, number] {
  const spread = Z_95 * Math.sqrt((points * (points - 1) * (2 * points + 5)) / 18);
  return [Math.floor((slopes - spread) / 2), Math.ceil((slopes + spread) / 2)];
}

/** The value at a rank, between two ranks their mean. */
function at(sorted: readonly number[], rank: number): number {
  const inside = Math.min(Math.max(rank, 0), sorted.length - 1);
  const [low = 0, high = 0] = [sorted[Math.floor(inside)], sorted[Math.ceil(inside)]];
  return (low + high) / 2;
}
