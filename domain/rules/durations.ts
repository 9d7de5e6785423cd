// Durations as people write them (`30s`, `24h`, `7d`) to milliseconds.

/** A number with a unit: `ms`, `s`, `m`, `h` or `d`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of a duration; throws a `TypeError` that names the text and the accepted form. */
export function toMs(duration: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration);
  const factor = UNITS_MS[match?.[2] ?? ''];
  if (!match || factor === undefined) {
    throw new TypeError(
      `"${duration}" is not a duration: write a number and ms, s, m, h or d, as in "30s"`,
    );
  }
  return Math.round(Number(match[1]) * factor);
}
