// The activity that stores outcomes which travelled through history while the ledger was down: signed ones only, once.
import type { Unrecorded } from '../../domain/rules/effect-outcome.ts';
import { isSigned } from '../effects/outcome-mac.ts';
import { noteRefusal } from './backing.ts';
import type { RunDeps } from './run-deps.ts';

export interface WriteBackInput extends Unrecorded {
  readonly v: 1;
  readonly tenant: string;
}

/**
 * Returns the ledger's sequence. An outcome that no worker of this ledger has signed is not stored, and its effect stays
 * as it is: the next look goes on with it, by resend, probe or doubt.
 */
export async function writeBack(deps: RunDeps, input: WriteBackInput): Promise<number> {
  const { ledger, database, keySecret } = deps;
  const { tenant, effect, fence, outputProblem, mac } = input;
  if (!isSigned(keySecret, tenant, input)) {
    await noteRefusal(database, 'pawl.writeBack', 'outcome', 'no worker has signed this outcome');
    return 0;
  }
  const [said] = await database.query<{ seq: number }>(
    `select coalesce(s.seq, 0) as seq from pawl.effect_facts f
     join pawl.effects e on e.tenant = f.tenant and e.id = f.effect_id
     left join pawl.run_seqs s on s.tenant = e.tenant and s.root_key = e.root_key
     where f.tenant = $1 and f.effect_id = $2 and f.data->>'mac' = $3 limit 1`,
    [tenant, effect, mac],
  );
  // Said again it is not a second observation: a stranger may repeat it after a human has decided otherwise.
  if (said) return said.seq;
  const entries = input.facts.map((fact) => ({
    fact,
    details: { writtenBack: true, mac: mac ?? null },
    ...(fence === undefined ? {} : { fence }),
    ...(fact.kind === 'applied' && outputProblem !== undefined ? { outputProblem } : {}),
  }));
  const { seq } = await ledger.append(tenant, effect, entries);
  return seq;
}
