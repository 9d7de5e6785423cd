// Header names have no case: what is given twice under one name is one header, where fetch would join the values.

/** Headers of which there can be one: two of them joined are none that a receiver reads. */
const SINGLE = new Set([
  ...['content-type', 'content-length', 'content-encoding', 'idempotency-key', 'authorization'],
  ...['proxy-authorization', 'host', 'user-agent', 'date', 'origin', 'referer'],
]);

/**
 * The init with each header once. In an object a later name replaces an earlier one, whatever their case; in a list only
 * headers of which there can be one are replaced, and others are joined as fetch does.
 */
export function withHeadersOnce(init: RequestInit | undefined): RequestInit | undefined {
  const given = init?.headers;
  if (!given || given instanceof Headers || Symbol.iterator in given === false) {
    return given && !(given instanceof Headers) ? { ...init, headers: fromObject(given) } : init;
  }
  return { ...init, headers: fromList([...given] as [string, string][]) };
}

function fromObject(given: object): [string, string][] {
  const once = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) once.set(name.toLowerCase(), value as string);
  return [...once];
}

function fromList(given: readonly [string, string][]): [string, string][] {
  const isLast = (name: string, at: number): boolean =>
    !given.slice(at + 1).some(([later]) => later.toLowerCase() === name);
  return given.filter(([name], at) => {
    const plain = name.toLowerCase();
    return !SINGLE.has(plain) || isLast(plain, at);
  });
}
