-- Up Migration

-- Only additions: workers of the build before go on beside those of this one, and their rows are sealed, too.
-- A seal is 32 bytes of SHA-256 over the row, then, where the row has bodies, 32 bytes of SHA-256 over a salt and the
-- bodies, then the salt (16 bytes): it goes with the bodies, so that an erased body cannot be guessed from what stays.
-- A fact's seal is also over the seal of the fact before it. What may change later is not in it, and neither is a column
-- that a later migration adds.
alter table pawl.effects add column seal bytea;
alter table pawl.effect_facts add column seal bytea;
alter table pawl.effect_requests add column seal bytea;
alter table pawl.calls add column seal bytea;
alter table pawl.model_steps add column seal bytea;
-- `decision_seal`: that of the decision, so that a deleted one is missed.
alter table pawl.approvals add column seal bytea, add column decision_seal bytea;
alter table pawl.decisions add column seal bytea;
alter table pawl.settlements add column seal bytea;
alter table pawl.callbacks add column seal bytea;

-- `client/audit-seals.ts` recomputes it from lists of its own.
create function pawl.seal_row() returns trigger language plpgsql as $$
declare
  clear jsonb;
  bodies jsonb;
  previous text;
  salt bytea := '';
  commitment bytea := '';
begin
  case tg_table_name
    when 'effect_facts' then
      clear := jsonb_build_array(new.tenant, new.effect_id, new.ordinal, new.kind, new.source, new.attempt, new.fence,
        extract(epoch from new.at), new.data - array['output', 'reason', 'message', 'evidence']);
      if new.data ?| array['output', 'reason', 'message', 'evidence'] then
        bodies := jsonb_build_array(
          new.data->'output', new.data->'reason', new.data->'message', new.data->'evidence');
      end if;
      if new.ordinal > 1 then
        select encode(substring(f.seal from 1 for 32), 'hex') into previous from pawl.effect_facts f
        where f.tenant = new.tenant and f.effect_id = new.effect_id and f.ordinal = new.ordinal - 1;
      end if;
    when 'effects' then
      clear := jsonb_build_array(new.tenant, new.id, new.short_id, new.run_key, new.root_key, new.turn, new.call,
        new.generation, new.workflow_id, new.tool, new.contract, new.wire_key, new.key_retention_ms, new.has_probe,
        new.sends_max, new.amount_minor, new.currency, new.identity_hash, new.approval_id, new.compensates,
        extract(epoch from new.created_at));
      bodies := jsonb_build_array(new.fingerprint, new.arguments, new.summary);
    when 'effect_requests' then
      clear := jsonb_build_array(new.tenant, new.effect_id, new.method, extract(epoch from new.created_at));
      bodies := jsonb_build_array(new.url, new.headers, encode(sha256(new.body), 'hex'));
    when 'calls' then
      clear := jsonb_build_array(new.tenant, new.run_key, new.turn, new.generation, new.call, new.tool,
        new.provider_call_id, new.verdict, new.rule, new.policy_hash, new.effect_id, new.approval_id,
        new.child_run_key);
    when 'model_steps' then
      clear := jsonb_build_array(new.tenant, new.run_key, new.turn, new.generation, new.model_requested,
        new.model_served, new.stop_reason, new.input_tokens, new.output_tokens, new.cached_input_tokens,
        new.cost_micro_usd, new.is_priced, new.request_id, new.attempt, new.duration_ms,
        extract(epoch from new.created_at));
    when 'approvals' then
      clear := jsonb_build_array(new.tenant, new.id, new.run_key, new.workflow_id, new.turn, new.call, new.effect_id,
        new.agent, new.tool, new.tool_pin, new.amount_minor, new.currency, new.rule, new.requirement, new.policy_hash,
        new.requester, extract(epoch from new.created_at), extract(epoch from new.expires_at));
      bodies := jsonb_build_array(new.fingerprint, new.arguments, new.summary, new.nonce);
    when 'decisions' then
      clear := jsonb_build_array(new.tenant, new.approval_id, new.id, new.decision, new.approver, new.binding,
        extract(epoch from new.decided_at));
      if new.reason is not null then bodies := jsonb_build_array(new.reason); end if;
    when 'settlements' then
      clear := jsonb_build_array(new.tenant, new.effect_id, new.id, new.outcome, new.settled_by,
        extract(epoch from new.settled_at));
      bodies := jsonb_build_array(new.output, new.evidence);
    when 'callbacks' then
      clear := jsonb_build_array(new.tenant, new.tool, new.id, new.wire_key, new.reference, new.outcome, new.code,
        extract(epoch from new.received_at));
      if new.output is not null or new.message is not null then
        bodies := jsonb_build_array(new.output, new.message);
      end if;
  end case;
  if bodies is not null then
    salt := uuid_send(gen_random_uuid());
    commitment := sha256(salt || convert_to(bodies::text, 'UTF8'));
  end if;
  new.seal := sha256(convert_to(
    jsonb_build_array(tg_table_name, previous, encode(commitment, 'hex'), clear)::text, 'UTF8')) || commitment || salt;
  return new;
end $$;

-- As the owner: no role of Pawl may change an approval.
create function pawl.note_decision() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  update pawl.approvals set decision_seal = substring(new.seal from 1 for 32)
  where tenant = new.tenant and id = new.approval_id;
  return null;
end $$;

-- What is erased loses its salt. `fingerprint` is set by `pawl.erase_run` alone.
create function pawl.forget_salt() returns trigger language plpgsql as $$
begin
  if new.fingerprint = 'erased' and old.fingerprint <> 'erased' then
    new.seal := substring(old.seal from 1 for 64);
  end if;
  return new;
end $$;

create or replace function pawl.refuse_change() returns trigger language plpgsql as $$
declare
  bodies text[] := case tg_table_name
    when 'effect_facts' then array['data']
    when 'effect_requests' then array['url', 'headers', 'body']
    when 'settlements' then array['output', 'evidence']
    when 'callbacks' then array['output', 'message']
    when 'decisions' then array['reason']
    else array[]::text[] end;
begin
  if tg_op = 'UPDATE' and current_setting('pawl.erasing', true) = 'yes'
    and to_jsonb(new) - bodies = to_jsonb(old) - bodies then
    if cardinality(bodies) > 0 then new.seal := substring(old.seal from 1 for 64); end if;
    return new;
  end if;
  raise exception 'pawl.% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;

-- The rows that are there: sealed as they are found, a fact behind the one before it.
do $$
declare
  sealed text;
  step integer;
begin
  foreach sealed in array array['effects', 'effect_requests', 'calls', 'model_steps', 'approvals', 'decisions',
      'settlements', 'callbacks', 'effect_facts'] loop
    execute format('alter table pawl.%I disable trigger user', sealed);
    execute format('create trigger seal_found before update on pawl.%I for each row execute function pawl.seal_row()',
      sealed);
    if sealed = 'effect_facts' then
      for step in 1..coalesce((select max(ordinal) from pawl.effect_facts), 0) loop
        update pawl.effect_facts set seal = null where ordinal = step;
      end loop;
    else
      execute format('update pawl.%I set seal = null', sealed);
    end if;
    execute format('drop trigger seal_found on pawl.%I', sealed);
    execute format('alter table pawl.%I enable trigger user', sealed);
    execute format('create trigger seal_row before insert on pawl.%I for each row execute function pawl.seal_row()',
      sealed);
  end loop;
  update pawl.approvals a set decision_seal = substring(d.seal from 1 for 32)
  from pawl.decisions d where d.tenant = a.tenant and d.approval_id = a.id;
end $$;

create trigger note_decision after insert on pawl.decisions
  for each row execute function pawl.note_decision();
create trigger forget_salt before update of fingerprint on pawl.effects
  for each row execute function pawl.forget_salt();
create trigger forget_salt before update of fingerprint on pawl.approvals
  for each row execute function pawl.forget_salt();

-- A worker may migrate at its start: with the right to read what was applied it finds that nothing is missing.
do $$
begin
  grant select on pawl_migrations to pawl_engine;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop trigger forget_salt on pawl.effects;
drop trigger forget_salt on pawl.approvals;
drop trigger note_decision on pawl.decisions;
do $$
declare
  sealed text;
begin
  foreach sealed in array array['effects', 'effect_facts', 'effect_requests', 'calls', 'model_steps', 'approvals',
      'decisions', 'settlements', 'callbacks'] loop
    execute format('drop trigger seal_row on pawl.%I', sealed);
    execute format('alter table pawl.%I drop column seal', sealed);
  end loop;
end $$;
alter table pawl.approvals drop column decision_seal;
drop function pawl.forget_salt();
drop function pawl.note_decision();
drop function pawl.seal_row();
create or replace function pawl.refuse_change() returns trigger language plpgsql as $$
declare
  bodies text[] := case tg_table_name
    when 'effect_facts' then array['data']
    when 'effect_requests' then array['url', 'headers', 'body']
    when 'settlements' then array['output', 'evidence']
    when 'callbacks' then array['output', 'message']
    when 'decisions' then array['reason']
    else array[]::text[] end;
begin
  if tg_op = 'UPDATE' and current_setting('pawl.erasing', true) = 'yes'
    and to_jsonb(new) - bodies = to_jsonb(old) - bodies then
    return new;
  end if;
  raise exception 'pawl.% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
