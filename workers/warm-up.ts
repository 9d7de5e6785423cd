// Loads ahead of time what the first model call of a process would load: half a second, once it polls or as a warm spare.
import type { WorkerConfig } from './config.ts';

/** Never throws: a package that is missing is explained by the call that needs it. */
export async function warmUp({
  anthropic,
  openai,
}: Pick<WorkerConfig, 'anthropic' | 'openai'>): Promise<void> {
  await Promise.allSettled([
    ...(anthropic ? [import('@anthropic-ai/sdk')] : []),
    ...(openai ? [import('openai')] : []),
  ]);
}
