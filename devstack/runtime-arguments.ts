// How a module of this package is run by node: from its TypeScript source or built.

/** TypeScript runs through tsx, with Pawl's entries resolved to their sources; JavaScript runs as it is. */
export function runtimeArguments(file: string): string[] {
  return file.endsWith('.ts') ? ['--import', 'tsx', '--conditions=pawl-source'] : [];
}
