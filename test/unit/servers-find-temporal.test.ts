// The finder of Temporal: its order and its words, with fake programs on the PATH.
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { findTemporal } from '../../devstack/servers/find-temporal.ts';
import type { FindTemporalOptions } from '../../devstack/servers/find-temporal.ts';
import { isRunning, identifyProcess } from '../../devstack/servers/process-identity.ts';
import type { ServerProgress } from '../../devstack/servers/server-progress.ts';
import { TEMPORAL_GO_PACKAGE, buildTemporal } from '../../devstack/servers/temporal-build.ts';
import type { Obtained } from '../../devstack/servers/temporal-build.ts';

const VERSION = 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)';
let root: string;
let env: Record<string, string>;

const bin = (): string => join(root, 'bin');
const cache = (): string => join(root, 'cache');

function writeProgram(path: string, script: string): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const writeTemporal = (path: string): string => writeProgram(path, `echo '${VERSION}'`);
const no = (reason: string) => (): Promise<Obtained> => Promise.resolve({ kind: 'failed', reason });
const find = (options: Partial<FindTemporalOptions> = {}) =>
  findTemporal({ env, download: no('no network'), build: no('Go is not installed'), ...options });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pawl-find-'));
  mkdirSync(bin());
  env = { PATH: bin(), HOME: root, GOPATH: join(root, 'go'), GOBIN: '', PAWL_CACHE_DIR: cache() };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('the order of the finder', () => {
  it('TEMPORAL_ADDRESS with everything else there → the address, nothing is started', async () => {
    writeProgram(join(bin(), 'temporal'), `touch ${root}/ran`);
    env['TEMPORAL_ADDRESS'] = 'temporal.example:7233';
    expect(await find()).toEqual({ kind: 'address', address: 'temporal.example:7233' });
    expect(existsSync(join(root, 'ran'))).toBe(false);
  });

  it('each place taken away in turn → explicit, PATH, cache, Go, download, build', async () => {
    const explicit = writeTemporal(join(root, 'mine', 'temporal'));
    const places = [
      writeTemporal(join(bin(), 'temporal')),
      writeTemporal(join(cache(), 'temporal')),
      writeTemporal(join(root, 'go', 'bin', 'temporal')),
    ];
    const downloaded = writeTemporal(join(root, 'downloaded'));
    const built = writeTemporal(join(root, 'built'));
    const obtain = (path: string) => (): Promise<Obtained> =>
      Promise.resolve(
        existsSync(path) ? { kind: 'obtained', path } : { kind: 'failed', reason: 'gone' },
      );
    const options = { download: obtain(downloaded), build: obtain(built) };
    const found = async () => {
      const result = await find(options);
      return result.kind === 'executable' ? [result.path, result.origin] : result;
    };

    env['PAWL_TEMPORAL_CLI'] = explicit;
    expect(await found()).toEqual([explicit, '(from $PAWL_TEMPORAL_CLI)']);
    delete env['PAWL_TEMPORAL_CLI'];
    const origins = ['on the PATH', "in Pawl's cache", "in Go's bin directory"];
    for (const [index, place] of places.entries()) {
      expect(await found()).toEqual([place, origins[index]]);
      rmSync(place);
    }
    expect(await found()).toEqual([downloaded, 'downloaded']);
    rmSync(downloaded);
    expect(await found()).toEqual([built, 'built with Go']);
  });

  it('a broken `temporal` on the PATH → passed over for the one in the cache', async () => {
    writeProgram(join(bin(), 'temporal'), 'echo "cannot execute" >&2; exit 126');
    const cached = writeTemporal(join(cache(), 'temporal'));
    expect(await find()).toMatchObject({ path: cached, version: VERSION });
  });

  it('PAWL_TEMPORAL_CLI names a broken program → an error, nothing else is used', async () => {
    writeTemporal(join(bin(), 'temporal'));
    env['PAWL_TEMPORAL_CLI'] = writeProgram(join(root, 'broken'), 'exit 3');
    await expect(find()).rejects.toMatchObject({
      kind: 'not-found',
      message: `PAWL_TEMPORAL_CLI: ${root}/broken (from $PAWL_TEMPORAL_CLI) does not work (exit code 3). Correct it, or unset it to let Pawl look elsewhere.`,
    });
  });
});

describe('nothing works', () => {
  it('all four ways fail → one error that names each with its reason and what to do', async () => {
    writeProgram(join(bin(), 'temporal'), 'echo "some other tool"');
    await expect(find()).rejects.toMatchObject({
      name: 'ServerError',
      kind: 'not-found',
      message: [
        'No Temporal server. Pawl tried four ways:',
        '  1. TEMPORAL_ADDRESS: not set.',
        `  2. \`temporal\` on this machine ($PAWL_TEMPORAL_CLI, the PATH, Pawl's cache, Go's bin): ${bin()}/temporal on the PATH does not work (it does not print a Temporal version).`,
        "  3. The SDK's download: no network.",
        `  4. go install ${TEMPORAL_GO_PACKAGE}: Go is not installed.`,
        'Install the Temporal CLI (https://docs.temporal.io/cli) or Go and try again, or start a server',
        'with `docker compose -f docker-compose.temporal.yml up -d` and `export TEMPORAL_ADDRESS=localhost:7233`.',
      ].join('\n'),
    });
  });

  it('an obtained file that is not Temporal → its reason stands in the error', async () => {
    const path = writeProgram(join(root, 'half'), 'exit 1');
    const download = (): Promise<Obtained> => Promise.resolve({ kind: 'obtained', path });
    await expect(find({ download })).rejects.toThrow(
      `3. The SDK's download: ${path} downloaded does not work (exit code 1).`,
    );
  });
});

describe('the build with Go', () => {
  const writeGo = (install: string): string =>
    writeProgram(
      join(bin(), 'go'),
      `[ "$1" = env ] && exit 0\necho "$@" >> ${root}/go-calls\n${install}`,
    );
  const goCalls = (): string[] => readFileSync(join(root, 'go-calls'), 'utf8').trim().split('\n');

  it('two at once → one build with progress, both get the cached executable', async () => {
    writeGo(
      `/bin/sleep 0.3; echo '#!/bin/sh\necho "${VERSION}"' > $GOBIN/temporal; /bin/chmod 755 $GOBIN/temporal`,
    );
    const reports: ServerProgress[] = [];
    const build = () =>
      find({ build: buildTemporal, onProgress: (report) => reports.push(report) });
    const found = await Promise.all([build(), build()]);

    expect(found.map((each) => each.kind === 'executable' && each.path)).toEqual([
      join(cache(), 'temporal'),
      join(cache(), 'temporal'),
    ]);
    expect(goCalls()).toEqual([`install ${TEMPORAL_GO_PACKAGE}`]);
    expect(reports[0]).toEqual({
      server: 'temporal',
      message: 'building Temporal from source with Go (about 3 minutes, once)',
      elapsedSeconds: 0,
    });
    expect(readdirSync(cache())).toEqual(['temporal']);
  });

  it('the compiler fails → its last line is in the error, nothing is left in the cache', async () => {
    writeGo('echo "go: downloading x" >&2; echo "dial tcp: no route to host" >&2; exit 1');
    await expect(find({ build: buildTemporal })).rejects.toThrow(
      `4. go install ${TEMPORAL_GO_PACKAGE}: exit code 1: dial tcp: no route to host.`,
    );
    expect(readdirSync(cache())).toEqual([]);
  });

  it('interrupted in the middle → the compiler is ended and no half of an executable is left', async () => {
    writeGo(`echo half > $GOBIN/temporal; echo $$ > ${root}/go-pid; exec /bin/sleep 60`);
    const abort = new AbortController();
    const building = find({ build: buildTemporal, signal: abort.signal });
    while (!existsSync(join(root, 'go-pid'))) await new Promise(setImmediate);
    const compiler = identifyProcess(Number(readFileSync(join(root, 'go-pid'), 'utf8')));
    abort.abort();

    await expect(building).rejects.toThrow(`4. go install ${TEMPORAL_GO_PACKAGE}: interrupted.`);
    expect(compiler !== undefined && isRunning(compiler)).toBe(false);
    expect(readdirSync(cache())).toEqual([]);
  });

  it('what a killed build left behind → removed by the next one', async () => {
    mkdirSync(join(cache(), 'build-left'), { recursive: true });
    appendFileSync(join(cache(), 'build-left', 'temporal'), 'half');
    writeGo('exit 1');
    await expect(find({ build: buildTemporal })).rejects.toThrow('exit code 1');
    expect(readdirSync(cache())).toEqual([]);
  });
});
