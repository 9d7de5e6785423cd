// A history as it lies in a file or comes from Temporal: read, named, decoded. Nothing is replayed here.
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { PawlError } from '../errors.ts';
import { loadPackage } from './load-package.ts';

/** A history with the name under which it is reported. */
export interface NamedHistory {
  readonly name: string;
  readonly history: unknown;
}

/** A history that is not decoded yet. */
export interface HistoryFile {
  readonly name: string;
  /** Where it comes from, for errors. */
  readonly source: string;
  readonly format: 'protobuf' | 'json';
  readonly bytes: Uint8Array;
}

/** Reads a file: protobuf for `.bin` and `.pb`, JSON otherwise. Throws PawlError `History.Unreadable`. */
export async function readHistoryFile(cwd: string, file: string): Promise<HistoryFile> {
  const source = resolve(cwd, file);
  const bytes = await readFile(source).catch((error: unknown) => {
    throw new PawlError('History.Unreadable', `Cannot read the history ${source}: ${why(error)}`);
  });
  const format = /\.(bin|pb)$/.test(source) ? 'protobuf' : 'json';
  return { name: basename(file), source, format, bytes };
}

/** Throws PawlError `History.Malformed` and `History.Empty`. */
export async function decodeHistory(file: HistoryFile): Promise<NamedHistory> {
  const history = file.format === 'protobuf' ? await decodeBinary(file) : decodeJson(file);
  if (countEvents(history) > 0) return { name: file.name, history };
  throw new PawlError('History.Empty', `${file.source} holds no history events.`);
}

/** Reads and decodes a file. Throws PawlError `History.*`. */
export async function readHistory(cwd: string, file: string): Promise<NamedHistory> {
  return decodeHistory(await readHistoryFile(cwd, file));
}

/** A history as Temporal's client hands it out, as if it had been in a file. */
export async function toHistoryFile({ name, history }: NamedHistory): Promise<HistoryFile> {
  const { temporal } = await loadProto();
  const bytes = temporal.api.history.v1.History.encode(history as object).finish();
  return { name, source: name, format: 'protobuf', bytes };
}

export function countEvents(history: unknown): number {
  if (typeof history !== 'object' || history === null || !('events' in history)) return 0;
  return Array.isArray(history.events) ? history.events.length : 0;
}

async function decodeBinary({ source, bytes }: HistoryFile): Promise<unknown> {
  const { temporal } = await loadProto();
  try {
    return temporal.api.history.v1.History.decode(bytes);
  } catch (error) {
    const message = `${source} is not a history as binary protobuf: ${why(error)}`;
    throw new PawlError('History.Malformed', message);
  }
}

function decodeJson({ source, bytes }: HistoryFile): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch (error) {
    throw new PawlError(
      'History.Malformed',
      `${source} is not JSON (${why(error)}). A binary history must be named .bin or .pb.`,
    );
  }
}

function why(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function loadProto(): Promise<typeof import('@temporalio/proto')> {
  const proto = await loadPackage('@temporalio/proto', () => import('@temporalio/proto'));
  // A CommonJS package: Node finds its names behind `default` only.
  return proto.default;
}
