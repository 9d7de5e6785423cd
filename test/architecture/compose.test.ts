// The compose files: valid by the compose schema, started in order, pinned, on the loopback
// address, and naming what Pawl reads.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { TEMPORAL_DYNAMIC_CONFIG } from '../../devstack/servers/temporal-settings.ts';
import { guarantee } from '../guarantee.ts';

const require = createRequire(import.meta.url);
const { load } = require('js-yaml') as { load(text: string): unknown };
const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
const addFormats = require('ajv-formats') as (ajv: object) => void;

type Json = Record<string, unknown>;

interface Service {
  readonly image?: string;
  readonly depends_on?: Record<string, { condition?: string }>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Record<string, string>;
  readonly restart?: string;
}

interface ComposeFile {
  readonly services: Record<string, Service>;
  readonly volumes?: Record<string, unknown>;
}

const ROOT = join(import.meta.dirname, '..', '..');
const BASE = 'docker-compose.temporal.yml';
const OVERLAYS = ['compose.dev.yml', 'compose.prod-like.yml'];
const FILES = [BASE, ...OVERLAYS];
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const parse = (file: string): ComposeFile => load(read(file)) as ComposeFile;

const isMap = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * As compose merges files: maps by key, lists of ports and volumes joined, everything else
 * replaced.
 */
function merge(base: Json, over: Json): Json {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = base[key];
    if (isMap(before) && isMap(value)) merged[key] = merge(before, value);
    else if (['ports', 'volumes'].includes(key) && Array.isArray(before)) {
      merged[key] = [...(before as unknown[]), ...(value as unknown[])];
    } else merged[key] = value;
  }
  return merged;
}

const stacks = new Map<string, ComposeFile>([
  [BASE, parse(BASE)],
  ...OVERLAYS.map((file): [string, ComposeFile] => [
    `${BASE} with ${file}`,
    merge(parse(BASE) as unknown as Json, parse(file) as unknown as Json) as unknown as ComposeFile,
  ]),
]);

const schema = JSON.parse(read('test/architecture/compose-spec.schema.json')) as Json;
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
const validate = ajv.compile(schema);
const errorsOf = (compose: unknown): string[] =>
  validate(compose)
    ? []
    : (validate.errors ?? []).map(
        ({ instancePath, message, params }) =>
          `${instancePath}: ${message} ${(params as Json)['unevaluatedProperty'] ?? ''}`,
      );

function misorderings({ services }: ComposeFile): string[] {
  return Object.entries(services).flatMap(([name, service]) =>
    Object.entries(service.depends_on ?? {}).flatMap(([target, { condition }]) => [
      ...(services[target] === undefined
        ? [`${name} depends on ${target}, which is not there`]
        : []),
      ...(services[target] !== undefined && services[target].healthcheck === undefined
        ? [`${name} depends on ${target}, which has no healthcheck`]
        : []),
      ...(condition === 'service_healthy'
        ? []
        : [`${name} does not wait until ${target} is healthy`]),
    ]),
  );
}

const unpinned = ({ services }: ComposeFile): string[] =>
  Object.values(services)
    .map(({ image }) => image ?? '(no image)')
    .filter((image) => !/^[\w./-]+:\d+\.\d+(\.\d+)?$/.test(image));

const exposed = ({ services }: ComposeFile): string[] =>
  Object.values(services)
    .flatMap(({ ports = [] }) => ports)
    .filter((port) => !/^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$/.test(port));

/** Every variable that the sources read from an environment. */
function variablesRead(directory: string): Set<string> {
  const sources = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(directory, file), 'utf8'));
  return new Set(
    sources.flatMap((text) =>
      [...text.matchAll(/env\['([A-Z_]+)'\]/g)].map((match) => match[1] ?? ''),
    ),
  );
}

/** What the comment at the top tells a user to export. */
const exports = Object.fromEntries(
  [...read(BASE).matchAll(/^# {3}export (.*)$/gm)]
    .flatMap((match) => (match[1] ?? '').split(' '))
    .map((assignment) => assignment.split(/=(.*)/s).slice(0, 2) as [string, string]),
);

const defaultOf = (text = ''): string => text.replace(/\$\{\w+:-([^}]*)\}/g, '$1');

describe.each(FILES)('%s', (file) => {
  guarantee('S3-16', 'against the compose schema → valid', () => {
    expect(errorsOf(parse(file))).toEqual([]);
  });
});

describe.each([...stacks])('%s', (_name, compose) => {
  guarantee('S3-16', 'merged → still valid by the schema', () => {
    expect(errorsOf(compose)).toEqual([]);
  });

  guarantee(
    'S3-17',
    'its start order → every dependency is there, has a healthcheck and is waited for',
    () => {
      expect(misorderings(compose)).toEqual([]);
    },
  );

  guarantee('S3-16', 'its images → each with a full version tag', () => {
    expect(unpinned(compose)).toEqual([]);
  });

  it('its ports → on the loopback address, each can be moved by a variable', () => {
    expect(exposed(compose)).toEqual([]);
  });

  it('its databases → found ready by pg_isready, their data in a named volume', () => {
    const databases = Object.values(compose.services).filter(({ image }) =>
      image?.startsWith('postgres:'),
    );
    expect(databases).toHaveLength(2);
    for (const { healthcheck, volumes } of databases) {
      expect(healthcheck?.test.slice(0, 2)).toEqual(['CMD', 'pg_isready']);
      const [volume = ''] = volumes?.[0]?.split(':') ?? [];
      expect(compose.volumes).toHaveProperty(volume);
    }
  });

  it('its mounted files → exist', () => {
    const mounted = Object.values(compose.services)
      .flatMap(({ volumes = [] }) => volumes)
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');
    expect(mounted).toContain('./deploy/temporal-dynamic-config.yaml');
    expect(mounted.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('what the top of the file tells a user to export', () => {
  const { services } = parse(BASE);
  const publishedPort = (service: string): string | undefined =>
    defaultOf(services[service]?.ports?.[0]).split(':')[1];

  it('its names → variables that Pawl reads', () => {
    const known = variablesRead(join(ROOT, 'devstack'));
    expect(Object.keys(exports).sort()).toEqual([
      'DATABASE_URL',
      'TEMPORAL_ADDRESS',
      'TEMPORAL_UI_URL',
    ]);
    expect(Object.keys(exports).filter((name) => !known.has(name))).toEqual([]);
  });

  it('its values → lead to the published ports, with the default user, password and database', () => {
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } =
      services['ledger-db']?.environment ?? {};
    const login = `${POSTGRES_USER}:${defaultOf(POSTGRES_PASSWORD)}`;
    expect(exports).toEqual({
      TEMPORAL_ADDRESS: `localhost:${publishedPort('temporal')}`,
      TEMPORAL_UI_URL: `http://localhost:${publishedPort('temporal-ui')}`,
      DATABASE_URL: `postgres://${login}@localhost:${publishedPort('ledger-db')}/${POSTGRES_DB}`,
    });
  });
});

describe('the settings of Temporal', () => {
  it('the mounted dynamic configuration → the same values as the development server', () => {
    const mounted = load(read('deploy/temporal-dynamic-config.yaml')) as Record<
      string,
      { value: unknown }[]
    >;
    expect(
      Object.entries(mounted).map(([key, values]) => [key, values.map(({ value }) => value)]),
    ).toEqual(TEMPORAL_DYNAMIC_CONFIG.map(({ key, value }) => [key, [value]]));
  });

  it('prod-like without passwords of the user → compose refuses to start', () => {
    const { services } = parse('compose.prod-like.yml');
    const passwords = [
      services['temporal-db']?.environment?.['POSTGRES_PASSWORD'],
      services['temporal']?.environment?.['POSTGRES_PWD'],
      services['ledger-db']?.environment?.['POSTGRES_PASSWORD'],
    ];
    for (const password of passwords)
      expect(password).toMatch(/^\$\{\w+:\?set \w+ to a password of your own\}$/);
  });
});

describe('the checks themselves', () => {
  const broken = (service: Json): ComposeFile =>
    merge(parse(BASE) as unknown as Json, {
      services: { temporal: service },
    }) as unknown as ComposeFile;

  guarantee(
    ['S3-16', 'S3-17'],
    'a misspelt key, a missing target, `latest`, a port for everybody → each is found',
    () => {
      expect(errorsOf(broken({ healthchek: {} }))).toContain(
        '/services/temporal: must NOT have unevaluated properties healthchek',
      );
      expect(misorderings(broken({ depends_on: { nobody: {} } }))).toEqual([
        'temporal depends on nobody, which is not there',
        'temporal does not wait until nobody is healthy',
      ]);
      expect(
        misorderings(broken({ depends_on: { 'temporal-ui': { condition: 'service_healthy' } } })),
      ).toEqual(['temporal depends on temporal-ui, which has no healthcheck']);
      expect(unpinned(broken({ image: 'temporalio/auto-setup:latest' }))).toEqual([
        'temporalio/auto-setup:latest',
      ]);
      expect(exposed(broken({ ports: ['7233:7233'] }))).toEqual(['7233:7233']);
    },
  );
});
