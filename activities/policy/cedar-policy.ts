// Policies written in Cedar: `Invoke` permits, `InvokeWithApproval` permits with an approval, nothing forbids.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs';
import {
  DEFAULT_RULE,
  defaultVerdict,
  type PolicyRequest,
  type PolicyVerdict,
} from '../../domain/rules/policy.ts';
import { createBoundedMap } from '../bounded-map.ts';
import { canonicalJson } from '../effects/fingerprint.ts';
import { messageOfThrown } from '../../domain/rules/thrown.ts';
import { toErrorCode } from '../error-facts.ts';
import { loadOptionalPackage } from '../optional-package.ts';
import { toCedarContext } from './cedar-context.ts';
import { parseCedarFile, type CedarRule } from './cedar-file.ts';
import { loadCedar } from './load-cedar.ts';
import { type Policy, PolicyUnavailableError } from './policy.ts';

const PACKAGE = '@cedar-policy/cedar-wasm';

/** How many verdicts a process remembers of one policy, and how long a question may be. */
const VERDICTS_MAX = 1_000;
const QUESTION_CHARS_MAX = 4_000;

/** The rule id of a call that no policy mentions: Cedar denies by default. */
export const NO_PERMIT_RULE = 'pawl:no-permit';

const defaultPolicy: Policy = {
  hash: DEFAULT_RULE,
  evaluate: (request) => Promise.resolve(defaultVerdict(request.contract)),
};

/**
 * The policy in a .cedar file, or the built-in one when no file is named. Throws a `PolicyUnavailableError` that names
 * the file, the line and the cause, or a `PackageMissingError` that names the package to install.
 */
export async function loadPolicy(
  file: string | undefined,
  importCedar: () => Promise<typeof Cedar> = loadCedar,
): Promise<Policy> {
  if (file === undefined) return defaultPolicy;
  const text = await readPolicyFile(file);
  const cedar = await loadOptionalPackage(PACKAGE, `The policy ${file}`, importCedar);
  return createCedarPolicy(cedar, file, text);
}

async function readPolicyFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new PolicyUnavailableError(`The policy ${file} cannot be read (${toErrorCode(error)})`, {
      cause: error,
    });
  }
}

function createCedarPolicy(cedar: typeof Cedar, file: string, text: string): Policy {
  const rules = parseCedarFile(cedar, file, text);
  const hash = createHash('sha256').update(text).digest('hex');
  const staticPolicies = Object.fromEntries(rules.map((rule) => [rule.id, rule.text]));
  const parsed = cedar.preparsePolicySet(hash, { staticPolicies });
  if (parsed.type === 'failure') {
    throw new PolicyUnavailableError(`${file}: ${toMessages(parsed.errors)}`);
  }
  const engine: Engine = { cedar, file, hash, rules };
  // Cedar knows no clock and no state: the same question to the same text has the same answer, and each call is asked
  // about twice, when it is proposed and at its send.
  const given = createBoundedMap<string, PolicyVerdict>(VERDICTS_MAX);
  // Through a promise, so that whatever goes wrong is a rejection and never a throw inside a caller.
  const evaluate = (request: PolicyRequest) =>
    Promise.resolve(request).then((asked) => {
      const question = canonicalJson(asked);
      const verdict = given.get(question) ?? toVerdict(engine, asked);
      if (question.length <= QUESTION_CHARS_MAX) given.set(question, verdict);
      return verdict;
    });
  return { hash, evaluate };
}

interface Engine {
  readonly cedar: typeof Cedar;
  readonly file: string;
  readonly hash: string;
  readonly rules: readonly CedarRule[];
}

function toVerdict(engine: Engine, request: PolicyRequest): PolicyVerdict {
  const invoke = ask(engine, request, 'Invoke');
  if (invoke.isAllowed) return { kind: 'permit', rule: invoke.rule.id };
  const approved = ask(engine, request, 'InvokeWithApproval');
  if (approved.isAllowed) {
    const { id, requirement, message } = approved.rule;
    return { kind: 'approve', rule: id, requirement, message };
  }
  const rule = approved.rule ?? invoke.rule;
  if (rule) return { kind: 'forbid', rule: rule.id, message: rule.message };
  const message = `no policy in ${engine.file} permits ${request.tool} to ${request.agent}`;
  return { kind: 'forbid', rule: NO_PERMIT_RULE, message };
}

/** The first rule in file order among those that decided; a denial without one is Cedar's default. */
type Decision =
  | { readonly isAllowed: true; readonly rule: CedarRule }
  | { readonly isAllowed: false; readonly rule: CedarRule | undefined };

function ask(engine: Engine, request: PolicyRequest, action: string): Decision {
  const { decision, diagnostics } = authorize(engine, request, action);
  const [broken] = diagnostics.errors;
  // Cedar skips a policy that fails, which would silently lift a `forbid`.
  if (broken) {
    const why = `policy "${broken.policyId}" failed for ${request.tool}: ${toMessages([broken.error])}`;
    throw new PolicyUnavailableError(`${engine.file}: ${why}`);
  }
  const rule = engine.rules.find(({ id }) => diagnostics.reason.includes(id));
  if (decision === 'deny') return { isAllowed: false, rule };
  if (!rule) throw new PolicyUnavailableError(`${engine.file}: Cedar allowed without a reason`);
  return { isAllowed: true, rule };
}

function authorize(engine: Engine, request: PolicyRequest, action: string): Cedar.Response {
  const { cedar, file, hash } = engine;
  try {
    const answer = cedar.statefulIsAuthorized({
      preparsedPolicySetId: hash,
      principal: { type: 'Agent', id: request.agent },
      action: { type: 'Action', id: action },
      resource: { type: 'Tool', id: request.tool },
      context: toCedarContext(request),
      entities: [],
    });
    if (answer.type === 'success') return answer.response;
    throw new PolicyUnavailableError(toMessages(answer.errors));
  } catch (error) {
    const why = messageOfThrown(error);
    throw new PolicyUnavailableError(`${file}: no verdict on ${request.tool}: ${why}`, {
      cause: error,
    });
  }
}

function toMessages(errors: readonly Cedar.DetailedError[]): string {
  return errors.map(({ message, help }) => (help ? `${message} (${help})` : message)).join('; ');
}
