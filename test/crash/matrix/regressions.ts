// Cells that have failed once: they run in every slice, whatever the seed.

/** As a report prints them. All of these by a prediction, or a time-out, that was too narrow for a busy machine. */
export const REGRESSIONS: readonly string[] = [
  'once 2 ok',
  'once 8 500-after',
  'keyed 4 key-expired-asked',
  'keyed 7 key-expired',
  'keyed 8 key-expired',
  'keyed 8 key-expired-asked',
];
