// The package entry `pawl/workers`: everything that a worker process needs.
export { ConfigInvalid, readWorkerConfig } from './config.ts';
export type { WorkerConfig } from './config.ts';
export { createWorker } from './create-worker.ts';
export type { CreateWorkerOptions, PawlWorker } from './create-worker.ts';
export { bundleWorkflows, defaultWorkflowsPath } from './workflow-bundle.ts';
export { migrate } from '../activities/ledger/migrate.ts';
export { createConfiguredKeys } from '../activities/encryption/encryption.ts';
export type { KeyContext, KeyProvider, WrappedKey } from '../activities/encryption/encryption.ts';
export { PRICES, withPrices } from '../domain/rules/pricing.ts';
export type { ModelProvider } from '../activities/models/model-provider.ts';
export { ModelCallError } from '../activities/models/model-provider.ts';
