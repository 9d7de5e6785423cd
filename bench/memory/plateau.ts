// Whether a series of memory samples has reached a plateau: the Theil–Sen slope of its second half. Pure.

/** Resident memory of a process after so many units of work. */
export interface MemorySample {
  /** Runs that had ended. */
  readonly runs: number;
  readonly mb: number;
}

export interface PlateauLimits {
  /** Resident memory that no sample may exceed, in MB. */
  readonly mbMax: number;
  /** Growth a run that is still a plateau, in KB. */
  readonly kbPerRunMax: number;
}

export interface Plateau {
  readonly kbPerRun: number;
  readonly maxMb: number;
  /** The samples that the slope is of. */
  readonly samples: number;
  readonly isPlateau: boolean;
  readonly violations: readonly string[];
}

/** Fewer are no series. */
const SAMPLES_MIN = 8;

/**
 * The first half of the runs is the warm-up: caches fill, code is compiled. Of the rest the slope is the median of the
 * slopes of all pairs, so that a garbage collection more or less does not move it. Throws a `RangeError` for too few samples.
 */
export function judgePlateau(samples: readonly MemorySample[], limits: PlateauLimits): Plateau {
  const end = samples.at(-1)?.runs ?? 0;
  const warm = samples.filter(({ runs }) => runs >= end / 2);
  if (warm.length < SAMPLES_MIN) {
    throw new RangeError(`${warm.length} samples after the warm-up: ${SAMPLES_MIN} are needed`);
  }
  const kbPerRun = theilSen(warm) * 1_024;
  const maxMb = Math.max(...samples.map(({ mb }) => mb));
  const violations = [
    ...(kbPerRun > limits.kbPerRunMax
      ? [`memory grows by ${kbPerRun.toFixed(1)} KB a run, more than ${limits.kbPerRunMax}`]
      : []),
    ...(maxMb > limits.mbMax ? [`${maxMb.toFixed(0)} MB, more than ${limits.mbMax}`] : []),
  ];
  return {
    kbPerRun,
    maxMb,
    samples: warm.length,
    isPlateau: violations.length === 0,
    violations,
  };
}

/** MB a run. */
function theilSen(samples: readonly MemorySample[]): number {
  const slopes = samples.flatMap((a, at) =>
    samples
      .slice(at + 1)
      .filter((b) => b.runs > a.runs)
      .map((b) => (b.mb - a.mb) / (b.runs - a.runs)),
  );
  const sorted = slopes.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
