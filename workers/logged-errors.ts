// Errors as they stand in the worker's log: whole, or, where bodies are encrypted, without words that a receiver chose.

/** Pawl's own errors: their messages name keys, servers and settings. */
const OUR_OWN = new Set(['EncryptionError', 'LedgerUnavailable', 'ConfigInvalid']);

/** A replacer for `JSON.stringify`. With `hidesWords` an error keeps its name, type, code and frames, not its message. */
export function toLogged(hidesWords: boolean): (key: string, value: unknown) => unknown {
  return (_key, value) => {
    if (typeof value === 'bigint') return value.toString();
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
