// The package entry `pawl/workers`: everything that a worker process needs.
export { ConfigInvalid, readWorkerConfig } from './config.ts';
export type { WorkerConfig } from './config.ts';
export { bundleWorkflows, createWorker, defaultWorkflowsPath } from './create-worker.ts';
export type { CreateWorkerOptions, PawlWorker } from './create-worker.ts';
export { migrate } from '../activities/ledger/migrate.ts';
export { PRICES, withPrices } from '../domain/rules/pricing.ts';
export type { ModelProvider } from '../activities/models/model-provider.ts';
export { ModelCallError } from '../activities/models/model-provider.ts';
