// What the database itself refuses, whoever holds a login: each table and role, tenants, decisions, keys, functions.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { migrate } from '../../activities/ledger/migrate.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  type TestDatabase,
} from '../../devstack/test-database.ts';
import { guarantee } from '../guarantee.ts';

const LOGINS = { engine: 'pawl_engine', service: 'pawl_service' } as const;
type Role = keyof typeof LOGINS;
const ROLES = Object.keys(LOGINS) as Role[];
const TENANTS = ['acme', 'other'];

let database: TestDatabase;
let owner: pg.Client;
const bound = {} as Record<Role, pg.Client>;
const free = {} as Record<Role, pg.Client>;
let tables: string[];
let names: string[];

async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

function urlOf(login: string): string {
  return Object.assign(new URL(database.url), { username: login, password: 'pw' }).href;
}

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.url);
  owner = await open(database.url);
  const { rows } = await owner.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'
     where c.relnamespace = 'pawl'::regnamespace and c.relkind = 'r' and c.relname <> 'tenant_logins' order by 1`,
  );
  tables = rows.map(({ name }) => name);
  names = [];
  for (const role of ROLES) {
    for (const kind of ['bound', 'free']) {
      const login = `${database.name}_${kind}_${role}`;
      names.push(login);
      await owner.query(
        `create role ${login} login password 'pw'; grant ${LOGINS[role]} to ${login}`,
      );
    }
    await owner.query('select pawl.bind_login($1, $2)', [`${database.name}_bound_${role}`, 'acme']);
    bound[role] = await open(urlOf(`${database.name}_bound_${role}`));
    free[role] = await open(urlOf(`${database.name}_free_${role}`));
  }
  // A row of each tenant in each table, without the rules that rows have of each other.
  await owner.query("set session_replication_role = 'replica'");
  for (const table of tables) for (const tenant of TENANTS) await insertRow(owner, table, tenant);
  await owner.query("set session_replication_role = 'origin'");
});

afterAll(async () => {
  for (const client of [...Object.values(bound), ...Object.values(free)]) await client.end();
  await owner.query(names.map((name) => `drop owned by ${name}; drop role ${name}`).join('; '));
  await owner.end();
  await dropTestDatabase(database);
});

const VALUES: Readonly<Record<string, string>> = {
  text: `'x'`,
  jsonb: `'{}'`,
  bytea: `'\\x00'`,
  boolean: 'false',
  'timestamp with time zone': 'clock_timestamp()',
  integer: '1',
  bigint: '1',
};
/** Of columns with a check. */
const CHECKED: Readonly<Record<string, string>> = {
  role: `'user'`,
  verdict: `'permit'`,
  contract: `'once'`,
  status: `'applied'`,
  decision: `'approve'`,
  outcome: `'applied'`,
  cause: `'erase'`,
  wire_key: `'w'`,
  kind: `'turn'`,
};

/** Every column that may not be null, with a value that its type takes. */
async function insertRow(client: pg.Client, table: string, tenant: string): Promise<void> {
  const { rows } = await owner.query<{ name: string; type: string }>(
    `select column_name as name, data_type as type from information_schema.columns
     where table_schema = 'pawl' and table_name = $1 and column_default is null
       and (is_nullable = 'NO' or column_name = 'wire_key')`,
    [table],
  );
  const values = rows.map(({ name, type }) => {
    if (name === 'tenant') return `'${tenant}'`;
    if (name === 'key_id') return `'key-${tenant}'`;
    return CHECKED[name] ?? VALUES[type];
  });
  const columns = rows.map(({ name }) => name).join(', ');
  await client.query(`insert into pawl.${table} (${columns}) values (${values.join(', ')})`);
}

const tenantsSeen = async (client: pg.Client, table: string): Promise<string[]> =>
  (
    await client.query<{ tenant: string }>(`select distinct tenant from pawl.${table} order by 1`)
  ).rows.map(({ tenant }) => tenant);

describe('tenants', () => {
  guarantee(
    'tenants-apart',
    'a login bound to a tenant → sees its rows of every table and no others, also as its group; a free one sees all',
    async () => {
      expect(tables.length).toBeGreaterThanOrEqual(20);
      for (const role of ROLES) {
        for (const table of tables) {
          expect([role, table, await tenantsSeen(bound[role], table)]).toEqual([
            role,
            table,
            ['acme'],
          ]);
          expect([role, table, await tenantsSeen(free[role], table)]).toEqual([
            role,
            table,
            TENANTS,
          ]);
        }
        await bound[role].query(`set role ${LOGINS[role]}`);
        expect(await tenantsSeen(bound[role], 'runs')).toEqual(['acme']);
        await bound[role].query('reset role');
      }
    },
  );

  guarantee(
    'tenants-apart',
    'a bound login writes for another tenant, in every table that it may write → refused; for its own tenant it is not',
    async () => {
      for (const role of ROLES) {
        const { rows } = await bound[role].query<{ name: string }>(
          `select t as name from unnest($1::text[]) t where has_table_privilege('pawl.' || t, 'insert')`,
          [tables],
        );
        expect(rows.length).toBeGreaterThanOrEqual(6);
        for (const { name } of rows) {
          const said = insertRow(bound[role], name, 'other').then(
            () => 'written',
            ({ message }: Error) => message,
          );
          expect([role, name, await said]).toEqual([
            role,
            name,
            expect.stringMatching(/row-level security|foreign key/),
          ]);
        }
      }
      await expect(insertAs('service', 'messages', 'acme', 'mine')).resolves.toBeDefined();
      const erase = `select pawl.erase_run('other', 'x', 'er_1', 'erase', 'me', 'because')`;
      await owner.query(`update pawl.runs set finished_at = now() where tenant = 'other'`);
      await expect(bound.service.query(erase)).rejects.toThrow('may not erase for tenant other');
    },
  );

  it('a table of a later migration → guarded when the next one has run', async () => {
    await owner.query(
      'create table pawl.later (tenant text not null); grant select on pawl.later to pawl_engine',
    );
    await owner.query(
      `insert into pawl.later values ('acme'), ('other'); select pawl.guard_tenants()`,
    );
    expect(await tenantsSeen(bound.engine, 'later')).toEqual(['acme']);
    await owner.query('drop table pawl.later');
  });
});

function insertAs(role: Role, table: string, tenant: string, id: string): Promise<unknown> {
  return bound[role].query(
    `insert into pawl.${table} (tenant, run_key, id, author, text) values ($1, 'run_x', $2, 'me', 'hi')`,
    [tenant, id],
  );
}

describe('decisions', () => {
  const decide = (approval: string, approver: string, at = 'clock_timestamp()'): Promise<unknown> =>
    free.service.query(
      `insert into pawl.decisions (tenant, approval_id, id, decision, approver, binding, decided_at)
       values ('acme', $1, 'de_' || $1, 'approve', $2, 'b', ${at}) returning decided_at`,
      [approval, approver],
    );
  const ask = (id: string, expires: string): Promise<unknown> =>
    owner.query(
      `insert into pawl.approvals (tenant, id, run_key, workflow_id, turn, call, effect_id, agent, tool, tool_pin,
         fingerprint, arguments, summary, rule, requirement, policy_hash, requester, nonce, expires_at)
       values ('acme', $1, 'r', 'r', 1, '0', 'e', 'a', 't', 'p', 'f', '{}', 's', 'r', 'any', 'h', 'Ann', 'n',
         clock_timestamp() + $2::interval)`,
      [id, expires],
    );

  guarantee(
    'approvals-by-database',
    'the client’s role decides as the requester under any spelling, too late, or with a time of its own → refused; the time is the database’s',
    async () => {
      await ask('ap_self', '1 hour');
      for (const name of ['Ann', 'ANN', ' ann ', 'a\u200bnn', 'Ａｎｎ', '', '\u00ad ']) {
        await expect(decide('ap_self', name)).rejects.toThrow('may not decide it');
      }
      await ask('ap_late', '-1 second');
      await expect(decide('ap_late', 'bob', `'2000-01-01'`)).rejects.toThrow('has expired');
      const made = await decide('ap_self', 'bob', `'2000-01-01'`);
      const [row] = (made as pg.QueryResult<{ decided_at: Date }>).rows;
      expect(Date.now() - (row?.decided_at.getTime() ?? 0)).toBeLessThan(60_000);
    },
  );
});

describe('keys and functions', () => {
  guarantee(
    'keys-stay',
    'the client’s role blanks or cuts the key of a run → refused; a new wrap is not',
    async () => {
      const update = (set: string): Promise<unknown> =>
        free.service.query(`update pawl.run_keys set ${set} where tenant = 'acme'`);
      for (const set of ['wrapped = null', `wrapped = ''`, `wrapped = '\\x00'`]) {
        await expect(update(set)).rejects.toThrow('by an erasure only');
      }
      for (const set of ['erased_at = now()', `tenant = 'other'`]) {
        await expect(update(set)).rejects.toThrow('permission denied');
      }
      await update(`kek_id = 'k2', wrapped = decode(repeat('ab', 60), 'hex')`);
    },
  );

  it('functions with the owner’s rights → not for everybody, each pins its search path', async () => {
    const { rows } = await owner.query<{ name: string; all: boolean; pinned: boolean }>(
      `select p.proname as name, has_function_privilege('public', p.oid, 'execute') as all,
         p.proconfig::text like '%search_path%' as pinned
       from pg_proc p where p.pronamespace = 'pawl'::regnamespace and p.prosecdef order by 1`,
    );
    const names = rows.map(({ name }) => name);
    expect(names).toEqual(['bound_tenants', 'erase_run', 'forget_answers', 'note_decision']);
    expect(rows.filter(({ all, pinned }) => all || !pinned)).toEqual([]);
  });

  it.each(['bind_login($1, $2)', 'guard_tenants()'])('%s → for the owner only', async (call) => {
    for (const role of ROLES) {
      const values = call.includes('$') ? ['x', 'y'] : [];
      await expect(free[role].query(`select pawl.${call}`, values)).rejects.toThrow(
        'permission denied',
      );
      await expect(free[role].query('delete from pawl.tenant_logins')).rejects.toThrow(
        'permission denied',
      );
    }
  });
});
