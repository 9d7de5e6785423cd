// Texts of receivers, on their way to the ledger, to Temporal and to models: at most 4 KB.

const TEXT_BYTES_MAX = 4_096;

/** The text, cut to so many bytes of UTF-8 with an ellipsis at its end. @default bytesMax 4096 */
export function clip(text: string, bytesMax = TEXT_BYTES_MAX): string {
  if (text.length <= bytesMax && Buffer.byteLength(text) <= bytesMax) return text;
  const bytes = Buffer.from(text.slice(0, bytesMax)).subarray(0, bytesMax - 3);
  // What was cut inside of a letter is no letter.
  return `${bytes.toString('utf8').replace(/\ufffd+$/, '')}…`;
}

/** Any value as a text; never throws. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'a value without a text';
  }
}
