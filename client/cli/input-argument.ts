// Reads JSON as people give it on a command line: in place, from a file with @, from stdin with -.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Json } from '../../domain/rules/json.ts';
import { ArgumentInvalidError, isPawlError } from '../errors.ts';
import { parseExactJson } from '../text-rules.ts';
import type { CliIo } from './cli-io.ts';

/** The JSON value of `text`; ArgumentInvalidError names the option and what is wrong. */
export async function readJsonArgument(io: CliIo, option: string, text: string): Promise<Json> {
  const [source, content] = await readSource(io, option, text);
  try {
    return parseExactJson(option, content);
  } catch (error) {
    if (isPawlError(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ArgumentInvalidError(
      `${option}: ${source} is not JSON (${why}). Write ${option} '{"name": "value"}', ${option} @file.json or ${option} -`,
    );
  }
}

async function readSource(io: CliIo, option: string, text: string): Promise<[string, string]> {
  if (text === '-') return ['what came on stdin', await io.readStdin()];
  if (!text.startsWith('@')) return ['the text', text];
  const path = resolve(io.cwd, text.slice(1));
  try {
    return [path, await readFile(path, 'utf8')];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : String(code ?? error);
    throw new ArgumentInvalidError(`${option}: cannot read ${path}: ${why}.`);
  }
}
