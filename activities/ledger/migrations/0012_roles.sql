-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.

-- `normaliseName` of domain/rules/names.ts; test/contract/names.test.ts holds the two equal. Where the server has no ICU,
-- or another encoding than UTF-8, letters beyond ASCII keep their case.
do $do$
declare
  visible text := $$regexp_replace(normalize(p_name, NFKC), '[\U00000001-\U0000001f\U0000007f-\U0000009f\U000000ad-\U000000ad\U0000034f-\U0000034f\U00000600-\U00000605\U0000061c-\U0000061c\U000006dd-\U000006dd\U0000070f-\U0000070f\U00000890-\U00000891\U000008e2-\U000008e2\U0000115f-\U00001160\U000017b4-\U000017b5\U0000180b-\U0000180f\U0000200b-\U0000200f\U00002028-\U0000202e\U00002060-\U0000206f\U00002800-\U00002800\U00003164-\U00003164\U0000fe00-\U0000fe0f\U0000feff-\U0000feff\U0000ffa0-\U0000ffa0\U0000fff0-\U0000fffb\U000110bd-\U000110bd\U000110cd-\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]', '', 'g')$$;
  folded text;
begin
  if getdatabaseencoding() <> 'UTF8' then
    execute $$create function pawl.normalise_name(p_name text) returns text language sql immutable as
      'select lower(btrim(p_name))'$$;
    return;
  end if;
  folded := case when exists (select 1 from pg_collation where collname = 'und-x-icu')
    then 'lower(upper(lower(%s collate "und-x-icu")))' else 'lower(upper(lower(%s)))' end;
  execute format($$create function pawl.normalise_name(p_name text) returns text language sql immutable as $body$
    select btrim(regexp_replace(normalize(replace(%s, 'ς', 'σ'), NFKC), ' +', ' ', 'g'), ' ') $body$ $$,
    format(folded, visible));
end $do$;

-- A decision is made now, by somebody else than who asked, and before its time is up: whatever a client says.
create function pawl.check_decision() returns trigger language plpgsql as $$
declare
  asked record;
begin
  new.decided_at := clock_timestamp();
  select a.requester, a.expires_at into asked from pawl.approvals a
  where a.tenant = new.tenant and a.id = new.approval_id;
  -- The foreign key refuses what is not there.
  if not found then return new; end if;
  if asked.expires_at <= new.decided_at then
    raise exception 'pawl: % has expired', new.approval_id using errcode = 'check_violation';
  end if;
  if pawl.normalise_name(new.approver) in ('', pawl.normalise_name(asked.requester)) then
    raise exception 'pawl: who asked for % may not decide it', new.approval_id using errcode = 'check_violation';
  end if;
  return new;
end $$;
-- Before seal_row, in the order of names: what is sealed is what is stored.
create trigger check_decision before insert on pawl.decisions
  for each row execute function pawl.check_decision();

-- A run's key goes with its erasure alone. The owner is who runs `pawl.erase_run`.
create function pawl.keep_key() returns trigger language plpgsql as $$
begin
  if (new.wrapped is null or octet_length(new.wrapped) < 28 or new.erased_at is distinct from old.erased_at)
    and current_user <> (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = tg_relid) then
    raise exception 'pawl.run_keys: a key is taken away by an erasure only' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger keep_key before update on pawl.run_keys for each row execute function pawl.keep_key();

-- Called by its trigger alone, on its own table.
create or replace function pawl.note_decision() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_relid <> 'pawl.decisions'::regclass or tg_op <> 'INSERT' then
    raise exception 'pawl.note_decision is for pawl.decisions' using errcode = 'insufficient_privilege';
  end if;
  update pawl.approvals set decision_seal = substring(new.seal from 1 for 32)
  where tenant = new.tenant and id = new.approval_id;
  return null;
end $$;
revoke all on function pawl.note_decision() from public;

-- Logins that see one tenant, or some. A login that is not in here sees all: that of a platform with one tenant, or of
-- workers that serve every tenant. By the session's own name, which no `set role` changes.
create table pawl.tenant_logins (
  login name not null,
  tenant text not null,
  primary key (login, tenant)
);

-- Null: all.
create function pawl.bound_tenants() returns text[] language sql stable
security definer set search_path = pg_catalog, pg_temp as $$
  select array_agg(tenant) from pawl.tenant_logins where login = session_user
$$;
revoke all on function pawl.bound_tenants() from public;

-- Row-level security on every table with a tenant, once some login is bound: without one nothing is asked. Owner only.
create function pawl.guard_tenants() returns void language plpgsql as $$
declare
  guarded text;
begin
  if not exists (select 1 from pawl.tenant_logins) then return; end if;
  for guarded in
    select c.relname from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped
    where c.relnamespace = 'pawl'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'tenant_logins'
      and not c.relrowsecurity
  loop
    execute format('create policy by_tenant on pawl.%I using (coalesce(tenant = any((select pawl.bound_tenants())::text[]), true))',
      guarded);
    execute format('alter table pawl.%I enable row level security', guarded);
  end loop;
end $$;
revoke all on function pawl.guard_tenants() from public;

-- Binds a login to a tenant, to one more when called again.
create function pawl.bind_login(p_login name, p_tenant text) returns void language plpgsql as $$
begin
  insert into pawl.tenant_logins (login, tenant) values (p_login, p_tenant) on conflict do nothing;
  perform pawl.guard_tenants();
end $$;
revoke all on function pawl.bind_login(name, text) from public;

-- `pawl.erase_run` is the owner's, whom no policy holds: what it erases is held against the login here.
create function pawl.check_erasure() returns trigger language plpgsql as $$
begin
  if not coalesce(new.tenant = any(pawl.bound_tenants()), true) then
    raise exception 'pawl: % may not erase for tenant %', session_user, new.tenant using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger check_erasure before insert on pawl.erasures for each row execute function pawl.check_erasure();

do $$
begin
  grant execute on function pawl.bound_tenants() to pawl_engine, pawl_service;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

do $$
declare
  guarded text;
begin
  for guarded in select tablename from pg_policies where schemaname = 'pawl' and policyname = 'by_tenant' loop
    execute format('alter table pawl.%I disable row level security', guarded);
    execute format('drop policy by_tenant on pawl.%I', guarded);
  end loop;
end $$;
drop trigger check_erasure on pawl.erasures;
drop function pawl.check_erasure();
drop function pawl.bind_login(name, text);
drop function pawl.guard_tenants();
drop function pawl.bound_tenants();
drop table pawl.tenant_logins;
drop trigger keep_key on pawl.run_keys;
drop function pawl.keep_key();
drop trigger check_decision on pawl.decisions;
drop function pawl.check_decision();
drop function pawl.normalise_name(text);
