// The embedded PostgreSQL where npm ran no install scripts.
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { makeSymlinks } from '../../devstack/servers/embedded-postgres.ts';

it('a package without its symlinks, then one with them → made, then left alone', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-embedded-'));
  const library = join(directory, 'native', 'lib');
  mkdirSync(library, { recursive: true });
  writeFileSync(join(library, 'libpq.so.5.18'), 'library');
  const links = ['libpq.so', 'libpq.so.5'].map((name) => ({
    source: 'native/lib/libpq.so.5.18',
    target: `native/lib/${name}`,
  }));
  writeFileSync(join(directory, 'native', 'pg-symlinks.json'), JSON.stringify(links));
  try {
    makeSymlinks(directory);
    makeSymlinks(directory);
    expect(readlinkSync(join(library, 'libpq.so.5'))).toBe('libpq.so.5.18');
    expect(readFileSync(join(library, 'libpq.so'), 'utf8')).toBe('library');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
