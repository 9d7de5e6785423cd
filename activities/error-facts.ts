// Reads errors by their fields: `instanceof Error` fails across realms, and tests and bundles make several.
import { member } from '../domain/rules/thrown.ts';

/** The `code` of an error such as `ENOENT`; the first one in its chain of causes, else `UNKNOWN`. */
export function toErrorCode(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < 8 && cause !== undefined; depth += 1) {
    const code = member(cause, 'code');
    if (typeof code === 'string') return code;
    cause = member(cause, 'cause');
  }
  return 'UNKNOWN';
}

/** The `name` of an error, such as `TypeError`; empty for what is none. */
export function toErrorName(error: unknown): string {
  const name = member(error, 'name');
  return typeof name === 'string' ? name : '';
}
