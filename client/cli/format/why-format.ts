// `pawl why` as text: the story of one effect from top to bottom, with every time and every name.
import type { EffectExplanation, FactView, RequestView } from '../../explain-effect.ts';
import type { ApprovalView } from '../../approval-views.ts';
import type { CallbackView } from '../../callbacks.ts';
import type { SettlementView } from '../../settle-effect.ts';
import type { CliIo } from '../cli-io.ts';
import { effectStatus, formatPending, formatReason } from './effect-format.ts';
import { toSafeLine } from './safe-text.ts';
import { type Field, formatCard, formatTable } from './table.ts';
import {
  formatDuration,
  formatArguments,
  formatJson,
  formatJsonBlock,
  formatMoney,
  formatStatus,
  formatTime,
  formatWhen,
  toneOf,
} from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

const HASH_LETTERS = 12;

/** The whole story. */
export function formatExplanation(io: Terminal, why: EffectExplanation, now: Date): string {
  const { approvals, settlements, callbacks, facts, request, effect } = why;
  const sections: readonly (readonly [string, string])[] = [
    ['Outcome', formatCard(io, outcomeFields(why, now))],
    ['Asked for by', formatCard(io, originFields(why))],
    ['Allowed by', formatCard(io, policyFields(why))],
    ...approvals.map((approval) => ['Approval', formatCard(io, approvalFields(approval))] as const),
    ['Promise', formatCard(io, promiseFields(why))],
    [
      'Request',
      request ? formatCard(io, requestFields(request)) : 'Nothing has left the process.\n',
    ],
    [
      why.cut.includes('facts') ? `Facts (the last ${facts.length} of more)` : 'Facts',
      facts.length > 0 ? formatFacts(io, facts) : 'No facts yet.\n',
    ],
    ...callbacks.map((one) => ['Callback', formatCard(io, callbackFields(one))] as const),
    ...settlements.map((one) => ['Settlement', formatCard(io, settlementFields(one))] as const),
  ];
  const title = io.paint('bold', toSafeLine(`${effect.effect}  ${effect.summary}`));
  const body = sections.map(([head, text]) => `${io.paint('bold', head)}\n${indent(text)}`);
  return `${title}\n\n${body.join('\n')}`;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

function outcomeFields({ effect, sameAs }: EffectExplanation, now: Date): readonly Field[] {
  const { leaseUntil, isOnWire, claimedBy } = effect;
  const status = effectStatus(effect);
  const wire =
    isOnWire && leaseUntil ? `${claimedBy ?? '?'} until ${formatWhen(leaseUntil, now)}` : '';
  return [
    ['status', formatStatus(status), toneOf(status)],
    ['because', formatPending(effect, now) || formatReason(effect)],
    ['on the wire', wire],
    ['output', effect.output === null ? '' : formatJsonBlock(effect.output)],
    ['output problem', effect.outputProblem, 'warn'],
    [
      'already done by',
      sameAs ? `${sameAs.effect} in ${sameAs.runKey} (${sameAs.status})` : effect.sameAs,
    ],
    ['sends', `${effect.sends} of at most ${effect.sendsMax}`],
    ['updated', formatTime(effect.updatedAt)],
  ];
}

function originFields({
  effect,
  run,
  agentHash,
  turn,
  modelText,
  call,
}: EffectExplanation): readonly Field[] {
  const hash = agentHash ? ` (version ${agentHash.slice(0, HASH_LETTERS)})` : '';
  return [
    ['run', effect.runKey],
    ['requester', run?.requester],
    ['agent', run ? `${run.agent}${hash}` : 'none: a plain workflow'],
    ['turn', effect.turn > 0 ? `${effect.turn}, call ${effect.call}` : effect.call],
    [
      'model',
      turn ? `${turn.modelServed}${turn.requestId ? ` (request ${turn.requestId})` : ''}` : '',
    ],
    ['model said', modelText],
    ['tool', effect.tool],
    ['arguments', formatArguments(effect.arguments)],
    ['amount', formatMoney(effect.amount)],
    ['proposed', call ? formatTime(effect.createdAt) : ''],
  ];
}

function policyFields({ call, facts }: EffectExplanation): readonly Field[] {
  const sent = facts.flatMap(sentUnder);
  if (!call) {
    return [['policy', 'no agent call is recorded: the workflow asked for it itself'], ...sent];
  }
  return [
    ['verdict', call.verdict, call.verdict === 'permit' ? 'good' : 'warn'],
    ['rule', call.rule],
    ['because', call.message],
    ['policy', call.policyHash.slice(0, HASH_LETTERS)],
    ...sent,
  ];
}

/** The rule in force at the send; the fields above are those of the proposal. */
function sentUnder({ data: { rule, policy, approval }, kind, at }: FactView): readonly Field[] {
  if (kind !== 'dispatched' || typeof rule !== 'string') return [];
  const hash = typeof policy === 'string' ? ` (policy ${policy.slice(0, HASH_LETTERS)})` : '';
  const by = typeof approval === 'string' ? `, approved as ${approval}` : '';
  return [['sent under', `${rule}${hash}${by}, ${formatTime(at)}`]];
}

function approvalFields(approval: ApprovalView): readonly Field[] {
  const { decision, requirement } = approval;
  return [
    ['approval', approval.id],
    ['status', formatStatus(approval.status), toneOf(approval.status)],
    ['rule', `${approval.rule} (policy ${approval.policyHash.slice(0, HASH_LETTERS)})`],
    ['requirement', requirement],
    ['asked', `${formatTime(approval.createdAt)} by ${approval.requester}`],
    ['decided', decision ? `${formatTime(decision.decidedAt)} by ${decision.approver}` : ''],
    ['reason', decision?.reason],
    ['expires', formatTime(approval.expiresAt)],
  ];
}

function promiseFields({ effect, siblings, cut }: EffectExplanation): readonly Field[] {
  const { keyRetentionMs, identityHash } = effect;
  const retention =
    keyRetentionMs === null ? '' : `, honoured for ${formatDuration(keyRetentionMs)}`;
  const identity = identityHash
    ? `${identityHash.slice(0, HASH_LETTERS)}${effect.holdsIdentity ? ' (held by this effect)' : ''}`
    : 'none: only retries are recognised';
  const others = siblings.map(
    (one) => `${one.effect} in ${one.runKey} (${formatStatus(one.status)})`,
  );
  return [
    ['contract', `${effect.contract}${effect.hasProbe ? ', with a probe' : ''}`],
    ['idempotency key', `${effect.wireKey}${retention}`],
    ['identity', identity],
    ['same identity', [...others, ...(cut.includes('siblings') ? ['… and more'] : [])].join('\n')],
    ['fingerprint', effect.fingerprint.slice(0, HASH_LETTERS)],
    ['id', effect.id],
  ];
}

function requestFields(request: RequestView): readonly Field[] {
  const headers = request.headers.map(([name, value]) => `${name}: ${value}`);
  const body = request.bodyEncoding === 'utf8' ? request.body : `(base64) ${request.body}`;
  return [
    ['frozen', formatTime(request.createdAt)],
    ['request', `${request.method} ${request.url}`],
    ['headers', headers.join('\n')],
    ['body', body],
  ];
}

function formatFacts(io: Terminal, facts: readonly FactView[]): string {
  const first = facts[0]?.at.getTime() ?? 0;
  return formatTable<FactView>(
    io,
    [
      { head: '#', cell: ({ ordinal }) => String(ordinal), align: 'right' },
      { head: 'TIME (UTC)', cell: ({ at }) => formatTime(at) },
      {
        head: 'AFTER',
        cell: ({ at }) => `+${formatDuration(at.getTime() - first)}`,
        align: 'right',
      },
      {
        head: 'FACT',
        cell: ({ kind }) => formatStatus(kind),
        tone: ({ kind }) => FACT_TONES[kind],
      },
      { head: 'SEEN BY', cell: ({ source }) => source },
      {
        head: 'ATTEMPT',
        cell: ({ attempt }) => (attempt === null ? '' : String(attempt)),
        align: 'right',
      },
      { head: 'DETAILS', cell: ({ data }) => formatDetails(data), isFlexible: true },
    ],
    facts,
  );
}

const FACT_TONES: Readonly<Record<string, 'good' | 'bad' | 'warn'>> = {
  applied: 'good',
  refused: 'warn',
  ambiguous: 'warn',
  doubted: 'bad',
};

function formatDetails(data: FactView['data']): string {
  const shown = Object.entries(data).filter(([, value]) => value !== null);
  return shown.map(([name, value]) => `${name}: ${toText(value)}`).join(', ');
}

function toText(value: FactView['data'][string]): string {
  return typeof value === 'string' ? value : formatJson(value, 200);
}

function callbackFields(callback: CallbackView): readonly Field[] {
  const { outcome, output, isTakenUp } = callback;
  return [
    ['message', `${callback.id}, ${formatTime(callback.receivedAt)}`],
    ['outcome', formatStatus(outcome), toneOf(outcome)],
    ['because', formatReason({ code: callback.code, reason: callback.message })],
    ['names', callback.idempotencyKey ?? callback.reference],
    ['output', output === null ? '' : formatJsonBlock(output)],
    ['taken up', isTakenUp ? 'yes' : 'not yet: the engine does it at the next look or sweep'],
  ];
}

function settlementFields(settlement: SettlementView): readonly Field[] {
  return [
    ['outcome', formatStatus(settlement.outcome)],
    ['by', `${settlement.settledBy}, ${formatTime(settlement.settledAt)}`],
    ['evidence', settlement.evidence],
    ['output', settlement.output === null ? '' : formatJsonBlock(settlement.output)],
    [
      'taken up',
      settlement.isTakenUp ? 'yes' : 'not yet: the engine does it when the run is woken',
    ],
  ];
}
