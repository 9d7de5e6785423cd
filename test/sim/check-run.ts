// The checker: joins the receiver's log, the ledger, and what the workflow was told; every finding is a violation.
import { type EffectState, type Fact, INTENDED } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import { observe } from '../../domain/rules/observe.ts';
import type { StoredFact } from '../../testing/effect-ledger-fixture.ts';
import { KEY_RETENTION_MS } from './cells.ts';
import { type End, predict, type Truth } from './predict.ts';
import { type Ran, receiptIdsOf } from './run-cell.ts';
import { toolFor } from './tools.ts';
import { toldOutputs } from './workflow.ts';

export interface Verdict {
  readonly end: End | 'dispatched' | 'none';
  readonly allowed: readonly End[];
  readonly receipts: number;
  readonly duplicated: boolean;
  readonly lost: boolean;
  readonly violations: readonly string[];
  /** As in `dispatched -applied-> applied`, once per fact. */
  readonly edges: readonly string[];
}

export async function checkRun(ran: Ran): Promise<Verdict> {
  const { plan, world, workflow, intent } = ran;
  const { contract } = plan.cell;
  const receipts = receiptIdsOf(ran);
  const facts = await world.memory.facts(intent);
  const end = endOf(ran);
  const { sends, permits, triedForMs } = world.count;
  const truth: Truth = {
    receipts: receipts.length,
    sends,
    permits,
    sendsMax: toolFor(plan.cell).sendsMax,
    isTriedLong: triedForMs >= toolFor(plan.cell).unsentForMs,
    struck: world.struck,
  };
  const allowed = predict(plan, truth);
  const { state, edges } = refold(facts);
  const stored = world.memory.effects()[0]?.state;
  const lost = toldOutputs(workflow.told).filter(
    (output) => contract !== 'read' && !receipts.includes(receiptIdOf(output)),
  );
  const violations = [
    ...(receipts.length > 1 ? [`duplicated: ${receipts.length} receipts`] : []),
    ...lost.map(
      (output) => `lost: told ${JSON.stringify(output)}, which the receiver does not have`,
    ),
    ...(end === 'applied' && contract !== 'read' && receipts.length !== 1
      ? [`applied, with ${receipts.length} receipts`]
      : []),
    ...(end === 'refused' && receipts.length > 0 ? ['refused, and the receiver has done it'] : []),
    ...(allowed.includes(end as End) ? [] : [`ends ${end}; allowed: ${allowed.join(', ')}`]),
    ...(contract === 'once' && sends > 1 ? [`once: ${sends} writes on the wire`] : []),
    ...(contract === 'read' && sends > 0 ? ['a read has written'] : []),
    ...(stored?.conflict ? ['a conflict, where the receiver never contradicts itself'] : []),
    ...(stored && JSON.stringify(sorted(stored)) !== JSON.stringify(sorted(state))
      ? ['the state is not the fold of its facts']
      : []),
    ...world.surprises.map((error) => `an attempt threw ${error}`),
    ...wireViolations(ran),
    ...workflowViolations(ran, end),
  ];
  return {
    end,
    allowed,
    receipts: receipts.length,
    duplicated: receipts.length > 1,
    lost: lost.length > 0,
    violations,
    edges,
  };
}

function endOf({ world, workflow, plan }: Ran): Verdict['end'] {
  const last = workflow.told.at(-1);
  if (plan.cell.contract === 'read') {
    return last?.kind === 'applied' || last?.kind === 'refused' || last?.kind === 'failed'
      ? last.kind
      : 'unsent';
  }
  const [effect] = world.memory.effects();
  if (!effect) return 'unsent';
  const { status, sends } = effect.state;
  if (status === 'intended') return sends === 0 ? 'unsent' : 'none';
  return status;
}

/** Equal bytes, one key, and no request with it when the receiver has forgotten it. */
function wireViolations({ world }: Ran): readonly string[] {
  const writes = world.receiver.requests.filter(({ method }) => method === 'POST');
  const [first] = writes;
  if (!first) return [];
  return writes.flatMap(({ body, key, atMs }) => [
    ...(body === first.body && key === first.key ? [] : ['a resend with other bytes']),
    ...(key !== '' && atMs - first.atMs > KEY_RETENTION_MS ? ['a resend past the horizon'] : []),
  ]);
}

function workflowViolations({ workflow, isOver, world, plan }: Ran, end: Verdict['end']): string[] {
  const kinds = workflow.told.map(({ kind }) => kind);
  const definite = kinds.filter((kind) => kind === 'applied' || kind === 'refused');
  const isTerminated = world.struck.some((each) => each.startsWith('terminate'));
  const isSettled = end === 'applied' || end === 'refused';
  return [
    ...(workflow.failure() === undefined
      ? []
      : [`the workflow failed: ${String(workflow.failure())}`]),
    ...(isOver ? [] : ['the workflow waits for ever']),
    ...(new Set(definite).size > 1 ? ['told applied and refused'] : []),
    ...(definite.length > 0 && definite.at(-1) !== end
      ? [`told ${definite.at(-1)}, ends ${end}`]
      : []),
    // Whoever is still there hears of it; a doubt may be resolved after his last look.
    ...(isSettled && !isTerminated && definite.length === 0 && !kinds.includes('in_doubt')
      ? [`ends ${end}, and the workflow was never told`]
      : []),
    ...(plan.cell.contract !== 'read' && !isTerminated && kinds.length === 0
      ? ['told nothing']
      : []),
  ];
}

function receiptIdOf(output: Json): string {
  return String((output as { receiptId?: Json } | null)?.receiptId);
}

/** The state as its facts alone tell it, each judged with the fence of the last permit before it. */
function refold(facts: readonly StoredFact[]): { state: EffectState; edges: readonly string[] } {
  const edges: string[] = [];
  let state = INTENDED;
  let last = 0;
  for (const { kind, source, data, fence } of facts) {
    if (kind === 'dispatched') last = fence ?? last;
    const fact = { kind, source, ...data } as unknown as Fact;
    const entry = { fact, ...(fence === null ? {} : { fence }) };
    const { after } = observe({ ...UNKNOWN, state, fence: last }, [entry], true);
    edges.push(`${state.status} -${kind}-> ${after.state.status}`);
    state = after.state;
  }
  return { state, edges };
}

const UNKNOWN = {
  output: null,
  outputProblem: null,
  sameAs: null,
  reference: null,
  holdsIdentity: false,
  identityHash: null,
};

function sorted(state: EffectState): [string, unknown][] {
  return Object.entries(state)
    .filter(([, value]) => value !== undefined)
    .sort(([one], [other]) => one.localeCompare(other));
}
