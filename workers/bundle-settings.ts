// What every bundle of workflow code is made with, a worker's and a replay's alike. No package is loaded here.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface BundlerConfig {
  module?: { rules?: unknown };
  resolve?: { conditionNames?: string[] };
}

export interface BundleSettings {
  readonly workflowsPath: string;
  readonly preloadModules: string[];
  readonly webpackConfigHook: <Config extends BundlerConfig>(config: Config) => Config;
}

/**
 * Pawl's own workflows are evaluated once a thread, not once an execution: each execution would begin with cold code.
 * They keep nothing in their modules. A user's modules stay apart, as Temporal has it.
 */
export function bundleSettings(workflowsPath: string = defaultWorkflowsPath()): BundleSettings {
  return {
    workflowsPath,
    preloadModules: [defaultWorkflowsPath()],
    webpackConfigHook: (config) => resolveLikeThisProcess(toModern(config)),
  };
}

/** Pawl's own workflows: TypeScript in a checkout, JavaScript in the package. */
export function defaultWorkflowsPath(): string {
  const source = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
  return existsSync(source)
    ? source
    : fileURLToPath(new URL('../workflows/index.js', import.meta.url));
}

/** The sandbox is this Node: objects are spread by it, not by helpers. */
function toModern<Config extends BundlerConfig>(config: Config): Config {
  const rules = Array.isArray(config.module?.rules) ? (config.module.rules as unknown[]) : [];
  for (const rule of rules) {
    const { use } = rule as { use?: { options?: { jsc?: { target?: string } } } };
    if (use?.options?.jsc) use.options.jsc.target = 'es2022';
  }
  return config;
}

/** In a checkout `pawl/workflows` means the sources, as it does for the process itself. */
function resolveLikeThisProcess<Config extends BundlerConfig>(config: Config): Config {
  if (!import.meta.url.endsWith('.ts')) return config;
  const conditionNames = ['pawl-source', ...(config.resolve?.conditionNames ?? ['...'])];
  return { ...config, resolve: { ...config.resolve, conditionNames } };
}
