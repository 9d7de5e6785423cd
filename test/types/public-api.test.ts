// Compiles the type tests beside it: what must not compile is marked there, and an unused mark is an error too.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const root = path.join(import.meta.dirname, '../..');
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.types.ts'));

function problemsOf(names: readonly string[]): string[] {
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const sources = names.map((name) => path.join(import.meta.dirname, name));
  const program = ts.createProgram(sources, { ...options, noEmit: true });
  return sources.flatMap((source) => {
    const file = program.getSourceFile(source);
    return ts.getPreEmitDiagnostics(program, file).map(({ start = 0, messageText }) => {
      const { line = 0 } = file?.getLineAndCharacterOfPosition(start) ?? {};
      return `${path.basename(source)}:${line + 1} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
  });
}

describe('the types of the public API', () => {
  it(`${files.join(', ')} → compile, and every marked line does not`, () => {
    expect(files.length).toBeGreaterThan(1);
    expect(problemsOf(files)).toEqual([]);
  });
});
