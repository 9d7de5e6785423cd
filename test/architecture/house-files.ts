// Every file of the house as text, for the tests that read instead of run.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface HouseFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export const root = path.join(import.meta.dirname, '../..');
const IGNORED = new Set(['.git', 'node_modules', 'dist', 'coverage', '.pawl', 'package-lock.json']);
const TEXTS = /\.(ts|js|mjs|json|sql|md|ya?ml|cedar|csv|sh)$|^(\.ci\/run|LICENSE)$/;

function filesBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (IGNORED.has(entry.name)) return [];
    const file = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(file);
    return entry.isFile() && TEXTS.test(file) ? [file] : [];
  });
}

/** All text files but generated ones. */
export function readHouse(): readonly HouseFile[] {
  return filesBelow('').map((file) => ({
    path: file,
    text: readFileSync(path.join(root, file), 'utf8'),
  }));
}
