-- Up Migration

-- Only additions: workers of the build before go on beside those of this one.
alter table pawl.effects
  -- The receiver has accepted it and has not said yet what became of it.
  add column is_pending boolean not null default false,
  -- The receiver's own name for what it has accepted.
  add column receiver_reference text,
  -- The id of the effect that this one undoes.
  add column compensates text;
create index effects_wire_key on pawl.effects (tenant, wire_key);
create index effects_reference on pawl.effects (tenant, tool, receiver_reference) where receiver_reference is not null;
create index effects_compensates on pawl.effects (tenant, compensates) where compensates is not null;

-- What a run was forked from: `{runKey, turn}`; null for all others.
alter table pawl.runs add column forked_from jsonb;

-- What receivers said by callback: written by the client after it has checked the signature, made a fact by the engine.
create table pawl.callbacks (
  tenant text not null,
  tool text not null,
  -- The receiver's id of the message: the same one again is the same message.
  id text not null,
  -- One of the two says which effect is meant; it may not be known yet.
  wire_key text,
  reference text,
  outcome text not null check (outcome in ('applied', 'refused')),
  output jsonb,
  code text,
  message text,
  received_at timestamptz not null default clock_timestamp(),
  primary key (tenant, tool, id),
  check (wire_key is not null or reference is not null)
);
create index callbacks_wire_key on pawl.callbacks (tenant, wire_key) where wire_key is not null;
create index callbacks_reference on pawl.callbacks (tenant, tool, reference) where reference is not null;
create trigger append_only before update or delete on pawl.callbacks
  for each row execute function pawl.refuse_change();
create trigger never_empty before truncate on pawl.callbacks
  for each statement execute function pawl.refuse_change();

do $$
begin
  grant select on pawl.callbacks to pawl_engine, pawl_service;
  grant insert on pawl.callbacks to pawl_service;
exception
  when undefined_object then raise notice 'pawl: roles missing, grants skipped';
end $$;

-- Down Migration

drop table pawl.callbacks;
alter table pawl.runs drop column forked_from;
alter table pawl.effects drop column is_pending, drop column receiver_reference, drop column compensates;
