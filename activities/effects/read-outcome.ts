// What the end of a tool and the receiver's answer amount to: one fact.
import { isPending, isRefusal, type RefusedError } from '../../domain/schemas/outcomes.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Fact } from '../../domain/rules/effect.ts';
import { describeThrown, member } from '../../domain/rules/thrown.ts';
import type { EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import type { Arrived } from './answer.ts';
import type { WriteState } from './effect-fetch.ts';
import { judgeOutput } from './judge-output.ts';
import { tellFailure } from './never-connected.ts';
import { clip, textOf } from './clip.ts';
import type { Ran } from './settle-within.ts';

/** What the end of the tool says of the send that it was permitted. */
export interface Heard {
  readonly entry: FactEntry;
  readonly retryAfterMs?: number | undefined;
}

type Granted = Extract<WriteState, { kind: 'granted' }>;

/** The fact of one permitted send. Never throws: what it can't read is an output problem, or an open outcome. */
export async function afterGrant(
  state: Granted,
  ran: Ran | undefined,
  tool: AnyTool,
): Promise<Heard> {
  const { retryAfterMs } = state;
  const { fence } = state.seen;
  if (state.notSent !== undefined) {
    const fact = { kind: 'not_sent', reason: clip(state.notSent) } as const;
    return { entry: { fact, fence }, retryAfterMs };
  }
  if (ran?.ok) {
    const { output, ...problem } = await judgeOutput(tool, ran.output);
    return { entry: { fact: { kind: 'applied', source: 'response', output }, fence, ...problem } };
  }
  const error: unknown = ran?.error;
  const told = readWord(state, error, tool);
  if (told) return { entry: { fact: told, fence } };
  const answered = await readAnswered(state, ran, tool);
  if (answered) return { entry: { ...answered, fence } };
  return { entry: { fact: toOpen(state, error), fence }, retryAfterMs };
}

/** A word of the receiver; a timeout of ours that comes late says nothing. */
export function isDefinite({ kind }: Fact): boolean {
  return kind === 'applied' || kind === 'refused' || kind === 'pending';
}

/**
 * Given before a receiver looks at the key or the business: on a resend they say nothing of the send before it, which
 * may have been accepted with a credential that was revoked since.
 */
const ANSWERED_AT_THE_DOOR = new Set([401, 403, 404, 405, 407, 410, 411, 413, 415, 429]);

/** What receivers answer to a key whose first request they have not finished. */
const IN_PROGRESS = new Set([409, 425]);

/** What the tool says in so many words: `pending`, or a refusal that the receiver documents. */
function readWord(state: Granted, error: unknown, tool: AnyTool): Fact | undefined {
  if (isPending(error)) return toPending(error.reference, tool);
  if (isRefusal(error) && !(state.isResend && ANSWERED_AT_THE_DOOR.has(state.status ?? 0))) {
    return { kind: 'refused', source: 'response', ...toRefused(error) };
  }
  return undefined;
}

/** The ledger finds a callback's effect by an index over the reference: a longer one is no name. */
const REFERENCE_BYTES_MAX = 1_024;

function toPending(given: unknown, tool: AnyTool): Fact {
  const reference = typeof given === 'string' || typeof given === 'number' ? String(given) : null;
  const isName = reference !== null && Buffer.byteLength(reference) <= REFERENCE_BYTES_MAX;
  return { kind: 'pending', reference: isName ? reference : null, withinMs: tool.pendingMs };
}

const CODE_BYTES_MAX = 200;

/** Code and message of a refusal, whatever they were made of: a model is told them. */
export function toRefused({ code, message }: RefusedError): { code: string; message: string } {
  return { code: clip(textOf(code), CODE_BYTES_MAX), message: clip(textOf(message)) };
}

/**
 * The receiver has answered 2xx, and its answer arrived to its end: what the tool's code makes of that is no doubt about
 * the effect. 202 says "accepted", every other 2xx "done". Undefined: the receiver has not said so.
 */
async function readAnswered(
  { arrived }: Granted,
  ran: Extract<Ran, { ok: false }> | undefined,
  tool: AnyTool,
): Promise<Pick<FactEntry, 'fact' | 'outputProblem'> | undefined> {
  const { error } = ran ?? {};
  if (!arrived || !ran || !isYes(arrived) || leavesOpen(error) || isGarbled(arrived, error)) {
    return undefined;
  }
  if (arrived.status === 202) return { fact: toPending(null, tool) };
  const unread = readUnread(error);
  const { output } = unread ? await judgeOutput(tool, unread.body) : { output: null };
  const what = ran.isLeftBehind
    ? 'the tool did not end in its time'
    : describeThrown(unread?.cause ?? error);
  const outputProblem = clip(`${what}, after the receiver had answered ${arrived.status}`);
  return { fact: { kind: 'applied', source: 'response', output }, outputProblem };
}

/** A cut body is no answer yet; one that we stopped reading is. */
function isYes({ status, body }: Arrived): boolean {
  return status >= 200 && status <= 299 && body !== 'cut';
}

/** The tool says itself that the answer proves nothing: an `AmbiguousAnswer`, which may come from another copy of the package. */
function leavesOpen(error: unknown): boolean {
  return typeof member(error, 'needsHuman') === 'boolean';
}

/** A web page that the tool can't read, or no JSON where it read JSON: a proxy may have answered in the receiver's place. */
function isGarbled({ bytes }: Arrived, error: unknown): boolean {
  const text = bytes.toString('utf8').trim();
  if (/^<(!doctype html|html)/i.test(text)) return true;
  if (text === '' || member(error, 'name') !== 'SyntaxError') return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** `response` of an `httpEffect` has thrown: the body that it could not read. */
function readUnread(
  error: unknown,
): { readonly body: unknown; readonly cause: unknown } | undefined {
  if (member(error, 'isPawlUnread') !== true) return undefined;
  return { body: member(error, 'body'), cause: member(error, 'cause') };
}

function toOpen(state: Granted, error: unknown): Fact {
  const status = state.status === undefined ? '' : `HTTP ${state.status}: `;
  const reason = clip(`${status}${describeThrown(error)}`);
  if (member(error, 'needsHuman') === true) return { kind: 'doubted', reason };
  const isAtWork = state.isResend && IN_PROGRESS.has(state.status ?? 0);
  return { kind: 'ambiguous', reason, ...(isAtWork ? { isAtWork } : {}) };
}

/** What was done and cannot be undone by its own code is a human's: a no would leave it standing in silence. */
export function factOfUnsent({ state, compensates }: EffectRecord, error: unknown): Fact {
  const message = describeThrown(error);
  if (state.sends > 0) {
    const reason = `an earlier send is open, and sending again failed: ${message}`;
    return { kind: 'doubted', reason };
  }
  if (compensates !== null) {
    const reason = `nothing was sent, \`compensate\` failed before it: ${message}; undo it by hand, then settle`;
    return { kind: 'doubted', reason };
  }
  return { kind: 'withdrawn', code: 'tool_failed', message: clip(tellFailure(error)) };
}
