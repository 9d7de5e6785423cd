// A value under a user's schema: asynchronous checks are awaited, and whatever the schema throws is an answer, not a throw.
import { z } from 'zod';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { systemClock, withDeadline } from '../clock.ts';
import { settleWithin } from './settle-within.ts';

export type ParsedValue<T = unknown> =
  | { readonly kind: 'valid'; readonly value: T }
  /** The schema says no; one line for whoever gave the value. */
  | { readonly kind: 'invalid'; readonly problem: string }
  /** A check or a transform of the schema threw, or did not end. */
  | { readonly kind: 'threw'; readonly problem: string };

/** A check that asks somebody else may take a while; one that never ends must end. */
const PARSE_MAX_MS = 10_000;
/** A list of ten thousand wrong items has ten thousand issues. */
const ISSUES_MAX = 20;

/** Parses once. `root` is what the value itself is called where it is wrong as a whole. */
export async function parseValue<T>(
  schema: z.core.$ZodType<T>,
  value: unknown,
  root = 'arguments',
): Promise<ParsedValue<T>> {
  const ran = await withDeadline(systemClock, PARSE_MAX_MS, (signal) =>
    settleWithin((async () => z.safeParseAsync(schema, value))(), signal),
  );
  if (!ran.ok) {
    const why = ran.isLeftBehind
      ? `it did not end within ${PARSE_MAX_MS / 1_000} s`
      : describeThrown(ran.error);
    return { kind: 'threw', problem: `a check of the schema failed: ${why}` };
  }
  const { output: parsed } = ran;
  if (parsed.success) return { kind: 'valid', value: parsed.data };
  return { kind: 'invalid', problem: describeIssues(parsed.error.issues, root) };
}

type Issues = readonly Pick<z.core.$ZodIssue, 'path' | 'message'>[];

/** What is wrong, as `path: message; …`. */
export function describeIssues(issues: Issues, root: string): string {
  const lines = issues
    .slice(0, ISSUES_MAX)
    .map(({ path, message }) => `${path.map(String).join('.') || root}: ${message}`);
  const left = issues.length - lines.length;
  return [...lines, ...(left > 0 ? [`and ${left} more`] : [])].join('; ');
}
