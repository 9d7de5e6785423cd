// `audit verify`, authority: every send has its permit, every yes its decision, every word of a person or receiver its row.

/** Facts of the effects of run `$2` of tenant `$1`. */
const FACTS = `pawl.effects e join pawl.effect_facts f on f.tenant = e.tenant and f.effect_id = e.id
   where e.tenant = $1 and e.run_key = $2`;

/** Opened by a build that records permits; a run of an older one has none to compare. */
const RECORDS_PERMITS = `exists (
  select 1 from pawl.runs r where r.tenant = e.tenant and r.run_key = e.run_key and r.budget is not null)`;

/** The decision that let a send of effect `e` go at the time `f.at`: a yes, in time, to this effect. */
const isDecided = (approval: string): string => `exists (
  select 1 from pawl.approvals a join pawl.decisions d on d.tenant = a.tenant and d.approval_id = a.id
  where a.tenant = e.tenant and a.effect_id = e.id and ${approval} and d.decision = 'approve'
    and d.decided_at <= a.expires_at and d.decided_at <= f.at)`;

/** What no activity of Pawl writes, each as rows of what is named and what is wrong with it. */
export const AUTHORITY_CHECKS: readonly string[] = [
  `select e.short_id as label, 'a person''s word about it has no settlement' as what from ${FACTS}
     and f.source = 'human' and not exists (
       select 1 from pawl.settlements s
       where s.tenant = f.tenant and s.effect_id = f.effect_id and s.id = f.data->>'settlement'
         and s.outcome = case f.kind when 'applied' then 'applied' else 'not_applied' end)`,
  `select e.short_id, 'a receiver''s later word about it has no callback' from ${FACTS}
     and f.source = 'webhook' and not exists (
       select 1 from pawl.callbacks c
       where c.tenant = f.tenant and c.tool = e.tool and c.id = f.data->>'callback' and c.outcome = f.kind)`,
  `select e.short_id, 'its outcome came through Temporal''s history, and no attempt could know it' from ${FACTS}
     and f.data->>'writtenBack' = 'true'
     and not (f.kind = 'pending' or f.kind in ('applied', 'refused') and f.source = 'response')`,
  `select e.short_id, 'it was sent, and no rule is recorded that permitted it' from ${FACTS}
     and f.kind = 'dispatched' and ${RECORDS_PERMITS} and f.ordinal = (
       select min(g.ordinal) from pawl.effect_facts g
       where g.tenant = f.tenant and g.effect_id = f.effect_id and g.kind = 'dispatched')
     and (f.data->>'rule' is null or e.compensates is null and f.data->>'policy' is null)`,
  `select e.short_id, 'it was sent by an approval that nobody has given' from ${FACTS}
     and f.kind = 'dispatched' and f.data ? 'approval' and not ${isDecided("a.id = f.data->>'approval'")}`,
  // By the verdict of its proposal, unless a later policy has permitted it without.
  `select e.short_id, 'it was sent, and its approval was never given' from ${FACTS}
     and f.kind = 'dispatched' and f.data->>'approval' is null and exists (
       select 1 from pawl.calls c where c.tenant = e.tenant and c.effect_id = e.id and c.verdict = 'approve'
         and c.policy_hash = coalesce(f.data->>'policy', c.policy_hash)
         and c.rule = coalesce(f.data->>'rule', c.rule))
     and f.ordinal = (select min(g.ordinal) from pawl.effect_facts g
       where g.tenant = f.tenant and g.effect_id = f.effect_id and g.kind = 'dispatched')
     and not ${isDecided('true')}`,
  `select e.short_id, 'it undoes another effect, and nobody has asked for that' from pawl.effects e
   join pawl.effects o on o.tenant = e.tenant and o.id = e.compensates
   where e.tenant = $1 and e.run_key = $2 and ${RECORDS_PERMITS} and not exists (
     select 1 from pawl.compensations w where w.tenant = e.tenant and w.run_key = o.run_key
       and (w.effects is null or o.short_id = any(w.effects)))
   and not exists (
     select 1 from pawl.runs k where k.tenant = e.tenant and k.forked_from->>'runKey' = o.run_key
       and k.forked_from->'compensated' ? o.short_id)`,
];
