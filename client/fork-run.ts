// Forks a run: a new run that decides one turn anew, knowing what stands; what was done behind it is kept or undone as told.
import type { ForkOrigin } from '../domain/rules/fork-origin.ts';
import type { Json } from '../domain/rules/json.ts';
import { listAgents } from './agents.ts';
import type { ClientContext } from './context.ts';
import { type EffectView, listEffects } from './effect-views.ts';
import {
  ArgumentInvalidError,
  ForkUndecidedError,
  RunNotEndedError,
  UnknownIdError,
} from './errors.ts';
import { resolveRunKey } from './ids.ts';
import { insertRun, type StartedRun, startWorkflow } from './start-run.ts';

/** What becomes of an effect of the turns that are decided anew. */
export type Fate = 'keep' | 'compensate';

export interface ForkOptions {
  /** The turn that is decided anew. @default the last one that the model answered */
  readonly at?: number | undefined;
  /** For every effect that `fates` does not name; `ask` throws ForkUndecidedError with what is undecided. @default 'ask' */
  readonly effects?: Fate | 'ask' | undefined;
  /** By short id (`ef_…`). */
  readonly fates?: Readonly<Record<string, Fate>> | undefined;
  /** Said to the model before it decides anew. */
  readonly message?: string | undefined;
  /** The same key forks once, however often. */
  readonly key?: string | undefined;
  /** @default the client's requester */
  readonly requester?: string | undefined;
}

export interface ForkedRun extends StartedRun {
  readonly forkedFrom: string;
  readonly at: number;
  readonly kept: readonly string[];
  /** Undone before the first step, the last first. */
  readonly compensated: readonly string[];
  /** Kept effects without identity: the new run may do the same again. */
  readonly unguarded: readonly string[];
}

/** See PawlClient.fork. */
export async function forkRun(
  context: ClientContext,
  typed: string,
  options: ForkOptions = {},
): Promise<ForkedRun> {
  const source = await readSource(context, await resolveRunKey(context, typed));
  const at = checkTurn(source, options.at ?? source.turns);
  const fates = await decideFates(context, source, at, options);
  const compensated = fates.filter(({ fate }) => fate === 'compensate');
  const kept = fates.filter(({ fate }) => fate === 'keep');
  const { requester = context.requester, key, message } = options;
  const forkedFrom: ForkOrigin = {
    runKey: source.runKey,
    turn: at,
    compensated: compensated.map(({ effect }) => effect),
    ...(message === undefined ? {} : { message }),
    by: requester,
  };
  await context.temporal.ensureReachable();
  const { agent: agentName, input } = source;
  const { run, isNew } = await insertRun(context, {
    ...{ agentName, input, key, requester, forkedFrom },
    subject: source.subject ?? undefined,
  });
  if (!run.isFinished) await startWorkflow(context, run);
  return {
    runKey: run.runKey,
    workflowId: run.runKey,
    isNew,
    forkedFrom: source.runKey,
    at,
    kept: kept.map(({ effect }) => effect),
    compensated: forkedFrom.compensated,
    unguarded: kept.filter(isUnguarded).map(({ effect }) => effect),
  };
}

function isUnguarded({ identityHash, status }: EffectView): boolean {
  return identityHash === null && status === 'applied';
}

interface Source {
  runKey: string;
  agent: string;
  input: Json;
  turns: number;
  subject: string | null;
  isFinished: boolean;
}

/** A run that goes on could do behind our back what was just decided about. */
async function readSource(
  { database, temporal, tenant }: ClientContext,
  runKey: string,
): Promise<Source> {
  const [source] = await database.query<Source>(
    `select r.run_key as "runKey", r.agent, r.input, r.subject, r.finished_at is not null as "isFinished",
       coalesce((select max(m.turn) from pawl.model_steps m
         where m.tenant = r.tenant and m.run_key = r.run_key), 0) as turns
     from pawl.runs r where r.tenant = $1 and r.run_key = $2`,
    [tenant, runKey],
  );
  if (!source) throw new UnknownIdError('run', runKey, tenant);
  // A workflow that an operator terminated has no end in the rows.
  if (!source.isFinished && (await temporal.standing(runKey)).kind === 'open')
    throw new RunNotEndedError(runKey, 'forked');
  return source;
}

function checkTurn({ runKey, turns }: Source, at: number): number {
  if (Number.isInteger(at) && at >= 1 && at <= turns) return at;
  const known = turns === 0 ? 'the model never answered' : `it has turns 1 to ${turns}`;
  throw new ArgumentInvalidError(`${runKey} cannot be forked at turn ${at}: ${known}.`);
}

type Decided = EffectView & { readonly fate: Fate };

/** Every effect that may stand behind the fork, with what becomes of it. */
async function decideFates(
  context: ClientContext,
  { runKey }: Source,
  at: number,
  { effects: otherwise = 'ask', fates = {} }: ForkOptions,
): Promise<readonly Decided[]> {
  const behind = (await listEffects(context, { runKey })).filter(
    (effect) => effect.turn >= at && mayStand(effect),
  );
  const stray = Object.keys(fates).find((id) => !behind.some(({ effect }) => effect === id));
  if (stray !== undefined) {
    throw new ArgumentInvalidError(`${stray} is no effect of ${runKey} from turn ${at} on.`);
  }
  const told = behind.map((effect) => ({ effect, fate: fates[effect.effect] ?? otherwise }));
  const undecided = told.filter(({ fate }) => fate === 'ask').map(({ effect }) => effect);
  if (undecided.length > 0) throw new ForkUndecidedError(runKey, at, undecided);
  const decided = told.map(({ effect, fate }): Decided => ({ ...effect, fate: fate as Fate }));
  await checkCompensable(context, decided);
  return decided;
}

function mayStand({ status, sameAs, compensates }: EffectView): boolean {
  return status !== 'refused' && status !== 'intended' && sameAs === null && compensates === null;
}

async function checkCompensable(
  context: ClientContext,
  decided: readonly Decided[],
): Promise<void> {
  const wanted = decided.filter(({ fate }) => fate === 'compensate');
  if (wanted.length === 0) return;
  const tools = (await listAgents(context)).flatMap((agent) => agent.tools);
  for (const { effect, tool } of wanted) {
    const known = tools.filter(({ name }) => name === tool);
    if (known.length === 0 || known.some(({ canCompensate }) => canCompensate)) continue;
    throw new ArgumentInvalidError(
      `${effect} cannot be compensated: the tool ${tool} has no \`compensate\`. Keep it, or add one and deploy.`,
    );
  }
}
