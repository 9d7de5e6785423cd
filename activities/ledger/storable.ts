// What PostgreSQL can hold of a value: receivers and models choose their texts, and an outcome must never be lost to one.

/** The value with every NUL and every half of a surrogate pair replaced by U+FFFD, in keys too. */
export function toStorable<T>(value: T): T {
  return clean(value) as T;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value);
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, each]) => [cleanText(key), clean(each)]);
  return Object.fromEntries(members);
}

function cleanText(text: string): string {
  // UTF-8 has no half pairs: encoding replaces them.
  return Buffer.from(text, 'utf8').toString('utf8').replaceAll('\u0000', '\ufffd');
}
