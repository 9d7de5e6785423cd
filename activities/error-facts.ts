// Reads errors by their fields: `instanceof Error` fails across realms, and tests and bundles make several.

/** The `code` of an error such as `ENOENT`; the first one in its chain of causes, else `UNKNOWN`. */
export function toErrorCode(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < 8 && isObject(cause); depth += 1) {
    if (typeof cause['code'] === 'string') return cause['code'];
    cause = cause['cause'];
  }
  return 'UNKNOWN';
}

/** The `name` of an error, such as `TypeError`; empty for what is none. */
export function toErrorName(error: unknown): string {
  return isObject(error) && typeof error['name'] === 'string' ? error['name'] : '';
}

/** The message of an error, or what was thrown as text. */
export function toErrorMessage(error: unknown): string {
  return isObject(error) && typeof error['message'] === 'string' ? error['message'] : String(error);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
