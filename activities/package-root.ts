// Finds the package's own folder, from source and from `dist/` alike: for files that the compiler does not copy.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of Pawl's package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error('Pawl is not installed as a package: no package.json above it');
    folder = parent;
  }
  return folder;
}
