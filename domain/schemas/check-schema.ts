// What a schema has to be before anything runs by it: of zod 4, of values that JSON carries, and an object for a model.
import { z } from 'zod';
import { describeThrown } from '../rules/thrown.ts';

/** Throws a `TypeError` where no JSON could ever pass the schema; `where` is as in `Tool "pay": \`input\``. */
export function requireCarried(where: string, schema: unknown): void {
  const problem = findProblem(schema, [], new Set());
  if (problem) throw new TypeError(`${where}${problem}`);
}

/** The same, and the root has to be an object: providers take nothing else for the arguments of a tool. */
export function requireArguments(where: string, schema: unknown): void {
  requireCarried(where, schema);
  const problem = rootProblem(schema as z.core.$ZodType);
  if (problem) throw new TypeError(`${where} ${problem}`);
}

/** Undefined when models can call with it. */
export function rootProblem(schema: z.core.$ZodType): string | undefined {
  try {
    const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    const extra = NOT_AT_ROOT.find((keyword) => json[keyword] !== undefined);
    if (json.type === 'object' && extra === undefined) return undefined;
    const what = extra ?? (typeof json.type === 'string' ? json.type : 'no type');
    return (
      `has no object at its root (${what}), and models call with named arguments: ` +
      'wrap it, as in z.object({ value: … })'
    );
  } catch (error) {
    return `cannot be shown to a model as JSON Schema: ${describeThrown(error)}`;
  }
}

/** Both providers refuse these at the root of a tool's schema. */
const NOT_AT_ROOT = ['anyOf', 'oneOf', 'allOf', 'enum', 'const', 'not', '$ref'] as const;

/** What there is to write instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  date: 'z.coerce.date(), or z.iso.datetime() for its text',
  bigint: 'z.coerce.bigint(), or z.string() for its digits',
  set: 'z.array(…), with .transform((list) => new Set(list)) if need be',
  map: 'z.record(…), with .transform((all) => new Map(Object.entries(all))) if need be',
  nan: 'z.number().nullable()',
};

type Path = readonly string[];
/** Read by its fields: a schema may come from another copy of zod, or from zod/mini. */
interface Definition {
  readonly type: string;
  readonly [name: string]: unknown;
}

function findProblem(schema: unknown, path: Path, seen: Set<unknown>): string | undefined {
  if (seen.has(schema)) return undefined;
  seen.add(schema);
  const definition = definitionOf(schema);
  if (!definition) return noSchema(schema, path);
  if (isUncarried(definition, schema)) {
    const instead = INSTEAD[definition.type];
    const remedy = instead ? `: write ${instead}` : '';
    return `${at(path)} is a ${definition.type}, which JSON cannot carry${remedy}`;
  }
  return findInside(definition, path, seen);
}

function definitionOf(schema: unknown): Definition | undefined {
  if (typeof schema !== 'object' || schema === null || !('_zod' in schema)) return undefined;
  return (schema as { _zod: { def: Definition } })._zod.def;
}

function noSchema(schema: unknown, path: Path): string {
  const isOlder = typeof schema === 'object' && schema !== null && '_def' in schema;
  return isOlder
    ? `${at(path)} is a schema of zod 3: import z from version 4 of zod, not from 'zod/v3'`
    : `${at(path)} is no zod schema`;
}

function at(path: Path): string {
  return path.length === 0 ? '' : ` at ${path.join('.')}`;
}

const UNCARRIED = new Set(['set', 'map', 'symbol', 'function', 'file', 'nan', 'promise']);

function isUncarried({ type, coerce, values }: Definition, schema: unknown): boolean {
  if (type === 'date' || type === 'bigint') return coerce !== true;
  if (type === 'literal') return (values as unknown[]).every(isNoJson);
  if (type === 'custom') return 'Class' in (schema as z.core.$ZodType)._zod.bag;
  return UNCARRIED.has(type);
}

function isNoJson(value: unknown): boolean {
  return typeof value === 'bigint' || value === undefined;
}

function findInside(definition: Definition, path: Path, seen: Set<unknown>): string | undefined {
  const { type, options } = definition;
  const look = (child: unknown, name?: string): string | undefined =>
    child === undefined || child === null
      ? undefined
      : findProblem(child, name === undefined ? path : [...path, name], seen);
  if (type === 'union') {
    const problems = (options as unknown[]).map((option) => look(option));
    return problems.every((problem) => problem !== undefined) ? problems[0] : undefined;
  }
  return childrenOf(definition)
    .map(([child, name]) => look(child, name))
    .find((problem) => problem !== undefined);
}

/** Of what goes in; what a transform makes of it is nobody's JSON. */
function childrenOf(definition: Definition): readonly (readonly [unknown, string?])[] {
  const { type, shape, catchall, element, items, rest } = definition;
  switch (type) {
    case 'object':
      return [
        ...Object.entries(shape as object).map(([name, child]) => [child, name] as const),
        [catchall, '*'],
      ];
    case 'array':
      return [[element, '0']];
    case 'tuple':
      return [
        ...(items as unknown[]).map((item, index) => [item, String(index)] as const),
        [rest, '*'],
      ];
    case 'record':
      return [[definition['valueType'], '*']];
    case 'intersection':
      return [[definition['left']], [definition['right']]];
    case 'pipe':
      return [[definition['in']]];
    case 'lazy':
      return [[(definition['getter'] as () => unknown)()]];
    default:
      return [[definition['innerType']]];
  }
}
