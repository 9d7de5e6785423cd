// Errors and payloads as they stand in the worker's log: whole, or, where bodies are encrypted, without the words in them.

/** Pawl's own errors: their messages name keys, servers and settings. */
const OUR_OWN = new Set(['EncryptionError', 'LedgerUnavailable', 'ConfigInvalid']);

/**
 * A replacer for `JSON.stringify`. With `hidesWords` an error keeps its name, type, code and frames, not its message, and a
 * payload its metadata: at TRACE the SDK logs tasks, and the codec decodes them in place.
 */
export function toLogged(hidesWords: boolean): (key: string, value: unknown) => unknown {
  return (_key, value) => {
    if (typeof value === 'bigint') return value.toString();
    if (hidesWords && isPayload(value)) return { ...value, data: '(hidden)' };
    if (!(value instanceof Error)) return value;
    const { name, message, stack } = value;
    if (!hidesWords || OUR_OWN.has(name)) return { name, message, stack };
    return {
      name,
      ...pick(value, 'type'),
      ...pick(value, 'code'),
      message: '(hidden: bodies are encrypted; `pawl show` has it)',
      stack: framesOf(stack),
    };
  };
}

function isPayload(value: unknown): value is { readonly metadata: object } {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  return (
    'data' in value && typeof metadata === 'object' && metadata !== null && 'encoding' in metadata
  );
}

function pick(error: Error, name: 'type' | 'code'): Record<string, unknown> {
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? { [name]: value } : {};
}

/** A message may have lines of its own: only what looks like a frame is one. */
function framesOf(stack = ''): string {
  return stack
    .split('\n')
    .filter((line) =>
      /^ +at (async )?[\w.$<>[\] ]*\(?(file|node|webpack-internal|\/)[^)]*\)?$/.test(line),
    )
    .join('\n');
}
