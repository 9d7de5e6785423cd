-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
-- The data key of each run, wrapped by a key-encryption key; null once the run is erased: its bodies are noise then.
create table pawl.run_keys (
  tenant text not null,
  run_key text not null,
  -- Random, in every envelope of the run.
  key_id text not null unique,
  kek_id text not null,
  wrapped bytea,
  created_at timestamptz not null default clock_timestamp(),
  erased_at timestamptz,
  primary key (tenant, run_key)
);
create index run_keys_kek on pawl.run_keys (kek_id) where wrapped is not null;

-- Whom a run is about: `pawl erase --subject` finds all of it. A pseudonym is enough.
alter table pawl.runs
  add column subject text,
  add column erased_at timestamptz;
create index runs_subject on pawl.runs (tenant, subject) where subject is not null;
create index runs_finished on pawl.runs (finished_at) where finished_at is not null and erased_at is null;

-- Who erased what, when and why; outlives what was erased.
create table pawl.erasures (
  tenant text not null,
  id text not null,
  run_key text not null,
  -- `erase`: somebody asked. `retention`: its time was up.
  cause text not null check (cause in ('erase', 'retention')),
  erased_by text not null,
  reason text not null,
  -- Rows whose bodies are gone, by table.
  rows jsonb not null,
  erased_at timestamptz not null default clock_timestamp(),
  primary key (tenant, id)
);
create index erasures_run on pawl.erasures (tenant, run_key);
create trigger append_only before update or delete on pawl.erasures
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.erasures
  for each statement execute function pawl.refuse_change();

-- What is append-only stays so but for one thing: inside `pawl.erase_run` a body may go, and nothing else of its row.
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

-- Takes every body of one run away, in the caller's transaction, and returns how many rows of each table had one. As the
-- owner, because no role of Pawl may change what is append-only; it refuses a run that may still need its bodies.
create function pawl.erase_run(p_tenant text, p_run_key text, p_id text, p_cause text, p_by text, p_reason text)
returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  counts jsonb := '{}';
  touched bigint;
  ids text[];
begin
  perform 1 from pawl.runs where tenant = p_tenant and run_key = p_run_key for update;
  if exists (select 1 from pawl.runs where tenant = p_tenant and run_key = p_run_key and finished_at is null) then
    raise exception 'pawl: % has not ended', p_run_key using errcode = 'object_not_in_prerequisite_state';
  end if;
  select coalesce(array_agg(id), '{}') into ids from pawl.effects where tenant = p_tenant and run_key = p_run_key;
  if exists (select 1 from pawl.effects where tenant = p_tenant and run_key = p_run_key
      and (status in ('dispatched', 'in_doubt') or has_conflict)) then
    raise exception 'pawl: an effect of % is open or in doubt', p_run_key
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  perform set_config('pawl.erasing', 'yes', true);

  update pawl.runs set input = 'null', output = null, stuck_cause = null,
      result = case when result is null then null else result - 'reason' end,
      forked_from = case when forked_from is null then null else forked_from - 'message' end,
      erased_at = coalesce(erased_at, clock_timestamp())
    where tenant = p_tenant and run_key = p_run_key and erased_at is null;
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('runs', touched);
  delete from pawl.transcript_bodies where tenant = p_tenant and run_key = p_run_key;
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('transcript_bodies', touched);
  update pawl.messages set text = '' where tenant = p_tenant and run_key = p_run_key and text <> '';
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('messages', touched);
  update pawl.model_steps set result = jsonb_build_object('kind', 'erased')
    where tenant = p_tenant and run_key = p_run_key and result->>'kind' is distinct from 'erased';
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('model_steps', touched);
  update pawl.calls set arguments = 'null', message = null, summary = tool, result = null
    where tenant = p_tenant and run_key = p_run_key
      and (arguments <> 'null' or message is not null or summary <> tool or result is not null);
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('calls', touched);
  update pawl.approvals set arguments = 'null', summary = tool, fingerprint = 'erased', nonce = 'erased'
    where tenant = p_tenant and run_key = p_run_key and fingerprint <> 'erased';
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('approvals', touched);
  update pawl.decisions d set reason = null from pawl.approvals a
    where a.tenant = p_tenant and a.run_key = p_run_key and d.tenant = a.tenant and d.approval_id = a.id
      and d.reason is not null;
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('decisions', touched);
  -- The identity hash stays: what was done once is not done again because it was forgotten.
  update pawl.effects set arguments = 'null', summary = tool, reason = null, output = null, output_problem = null,
      fingerprint = 'erased'
    where tenant = p_tenant and id = any(ids) and fingerprint <> 'erased';
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('effects', touched);
  update pawl.effect_facts set data = data - array['output', 'reason', 'message', 'evidence']
    where tenant = p_tenant and effect_id = any(ids) and data ?| array['output', 'reason', 'message', 'evidence'];
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('effect_facts', touched);
  update pawl.effect_requests set url = '', headers = '[]', body = ''
    where tenant = p_tenant and effect_id = any(ids) and (url <> '' or body <> '');
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('effect_requests', touched);
  update pawl.settlements set output = null, evidence = ''
    where tenant = p_tenant and effect_id = any(ids) and evidence <> '';
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('settlements', touched);
  update pawl.callbacks c set output = null, message = null from pawl.effects e
    where e.tenant = p_tenant and e.id = any(ids) and c.tenant = e.tenant and c.tool = e.tool
      and (c.wire_key = e.wire_key or c.wire_key is null and c.reference = e.receiver_reference)
      and (c.output is not null or c.message is not null);
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('callbacks', touched);
  update pawl.run_keys set wrapped = null, erased_at = clock_timestamp()
    where tenant = p_tenant and run_key = p_run_key and wrapped is not null;
  get diagnostics touched = row_count; counts := counts || jsonb_build_object('run_keys', touched);

  perform set_config('pawl.erasing', '', true);
  -- Erased again, with nothing left to take away: nothing to tell either.
  if exists (select 1 from jsonb_each_text(counts) c where c.value <> '0') then
    insert into pawl.erasures (tenant, id, run_key, cause, erased_by, reason, rows)
    values (p_tenant, p_id, p_run_key, p_cause, p_by, p_reason, counts);
  end if;
  return counts;
end $$;
revoke all on function pawl.erase_run(text, text, text, text, text, text) from public;

do $$
begin
  grant select, insert on pawl.run_keys to pawl_engine, pawl_service;
  grant update (kek_id, wrapped) on pawl.run_keys to pawl_service;
  grant select on pawl.erasures to pawl_engine, pawl_service;
  grant execute on function pawl.erase_run(text, text, text, text, text, text) to pawl_service;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop function pawl.erase_run(text, text, text, text, text, text);
drop table pawl.erasures;
drop table pawl.run_keys;
drop index pawl.runs_finished;
drop index pawl.runs_subject;
alter table pawl.runs drop column subject, drop column erased_at;
create or replace function pawl.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'pawl.% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
