// Reads a .cedar file into named rules, and says file, line and cause when it cannot.
import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs';
import { PolicyUnavailableError } from './policy.ts';

/** One policy of the file. */
export interface CedarRule {
  /** Its `@id("…")`, else `policy0`, `policy1`, … in the order of the file. */
  readonly id: string;
  readonly text: string;
  /** Its `@requirement("…")`: what an approval that it asks for must meet. */
  readonly requirement: string | undefined;
  /** Its `@message("…")`: why, for people and the model. */
  readonly message: string | undefined;
}

/** The rules in file order. Throws a `PolicyUnavailableError` that names the file, the line and the cause. */
export function parseCedarFile(cedar: typeof Cedar, file: string, text: string): CedarRule[] {
  const checked = cedar.checkParsePolicySet({ staticPolicies: text });
  if (checked.type === 'failure') throw toParseError(file, text, checked.errors);
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') throw toParseError(file, text, parts.errors);
  const rules = inFileOrder(parts.policies).map((policy, index) => toRule(cedar, policy, index));
  if (rules.length === 0) {
    throw new PolicyUnavailableError(`${file} holds no policy: every call would be forbidden`);
  }
  const twice = rules.find(({ id }, index) => rules.findIndex((rule) => rule.id === id) !== index);
  if (twice) throw new PolicyUnavailableError(`${file}: two policies have @id("${twice.id}")`);
  return rules;
}

/** Cedar names the policies `policy0`, `policy1`, … and returns them sorted by that name: 10 before 2. */
function inFileOrder(policies: readonly string[]): string[] {
  const positions = policies
    .map((_, position) => position)
    .sort((left, right) => (String(left) < String(right) ? -1 : 1));
  const ordered: string[] = [];
  positions.forEach((position, index) => (ordered[position] = policies[index] ?? ''));
  return ordered;
}

function toRule(cedar: typeof Cedar, text: string, index: number): CedarRule {
  const parsed = cedar.policyToJson(text);
  const annotations = parsed.type === 'success' ? (parsed.json.annotations ?? {}) : {};
  const { id = `policy${index}`, requirement, message } = annotations;
  return { id, text, requirement, message };
}

function toParseError(file: string, text: string, errors: readonly Cedar.DetailedError[]): Error {
  const lines = errors.map((error) => {
    const [source] = error.sourceLocations ?? [];
    const where = source ? `${file}:${toPosition(text, source.start)}` : file;
    const details = [source?.label, error.help].filter(Boolean).join('; ');
    return `${where}: ${error.message}${details ? ` (${details})` : ''}`;
  });
  return new PolicyUnavailableError(`The policy cannot be read. ${lines.join('\n')}`);
}

/** `line:column`, both from 1; Cedar counts bytes, not characters. */
function toPosition(text: string, byteOffset: number): string {
  const before = Buffer.from(text).subarray(0, byteOffset).toString('utf8').split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}
