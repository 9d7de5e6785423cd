// Bundles workflows the way a Temporal worker does, with no `ignoreModules`, and says what the bundle reaches.
import { type BundleOptions, bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

type WebpackConfig = Parameters<NonNullable<BundleOptions['webpackConfigHook']>>[0];
type WebpackPlugin = Extract<
  NonNullable<NonNullable<WebpackConfig['plugins']>[number]>,
  { apply: (compiler: never) => void }
>;

export interface Bundle {
  /** Size of the code, source map included, as the worker loads it. */
  readonly bytes: number;
  /** Every npm package that is reachable, transitively. */
  readonly packages: readonly string[];
  /** Every file of our own that is reachable, absolute. */
  readonly files: readonly string[];
}

/** Throws with the bundler's own words when a builtin of Node or a package for workers and clients is reachable. */
export async function bundle(workflowsPath: string): Promise<Bundle> {
  const reached = new Set<string>();
  const problems: string[] = [];
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    ignoreModules: [],
    logger: new DefaultLogger('ERROR', () => undefined),
    webpackConfigHook: (config) => ({
      ...config,
      plugins: [...(config.plugins ?? []), noteModules(reached, problems)],
    }),
  }).catch((error: Error) => {
    throw new Error([error.message, ...problems].join('\n'), { cause: error });
  });
  const files = [...reached];
  const packages = new Set(files.map(packageOf).filter((name) => name !== undefined));
  return {
    bytes: Buffer.byteLength(code),
    packages: [...packages].sort(),
    files: files.filter((file) => packageOf(file) === undefined).sort(),
  };
}

function noteModules(reached: Set<string>, problems: string[]): WebpackPlugin {
  return {
    apply(compiler) {
      compiler.hooks.done.tap('pawl', ({ compilation }) => {
        problems.push(...compilation.errors.map(({ message }) => message.split('\n')[0] ?? ''));
        for (const module of compilation.modules) {
          if ('resource' in module && typeof module.resource === 'string') {
            reached.add(module.resource);
          }
        }
      });
    },
  };
}

function packageOf(file: string): string | undefined {
  const [, inside] = file.split(/.*[\\/]node_modules[\\/]/);
  const [scope, name] = inside?.split(/[\\/]/) ?? [];
  return scope?.startsWith('@') ? `${scope}/${name}` : scope;
}
