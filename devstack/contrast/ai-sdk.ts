// The official AI SDK plugin as a system: whether its packages are there, and the local model that its agent asks.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Invoice } from '../../examples/contrast/invoice.ts';
import { packageRoot } from '../../activities/package-root.ts';
import {
  lastUserText,
  type ModelReply,
  type NeutralRequest,
  startModelProvider,
  toolResults,
} from '../receivers/index.ts';
import type { Door, Servers, Site, System } from './system.ts';
import { createTemporalDoor } from './temporal-door.ts';

const FOLDER = 'examples/contrast/ai-sdk';

/**
 * What the system needs. The plugin pins Temporal's packages to its own version, and two versions do not load into one
 * process: so it gets a node_modules of its own, beside its worker. Never a dependency of the product.
 */
const PACKAGES = [
  '@temporalio/ai-sdk@1.23.0',
  '@temporalio/worker@1.23.0',
  '@temporalio/workflow@1.23.0',
  '@temporalio/activity@1.23.0',
  '@temporalio/common@1.23.0',
  'ai@7',
  '@ai-sdk/anthropic@4',
  '@ai-sdk/mcp@2',
  '@ai-sdk/provider@4',
] as const;

/** The one command that installs them, for this checkout only. */
export const AI_SDK_INSTALL = `npm install --no-save --prefix ${FOLDER} ${PACKAGES.join(' ')}`;

/** The command without which the plugin cannot run here; undefined when it can. */
export function whyNoAiSdk(root = packageRoot()): string | undefined {
  const isInstalled = (spec: string): boolean =>
    existsSync(join(root, FOLDER, 'node_modules', spec.replace(/@[^@/]*$/, ''), 'package.json'));
  return PACKAGES.every(isInstalled) ? undefined : AI_SDK_INSTALL;
}

/** The agent of examples/contrast/ai-sdk/, its model a local server that speaks Anthropic's wire format. */
export function aiSdkSystem({ client, temporalAddress }: Servers, workerFile: string): System {
  return {
    name: 'ai-sdk',
    workerFile,
    hasResets: true,
    note: 'a model (a local server) asks for each payment, the activities are those of plain',
    async openDoor(site: Site): Promise<Door> {
      const model = await startModelProvider({ script: nextPayment });
      const env = { TEMPORAL_ADDRESS: temporalAddress, MODEL_URL: `${model.url}/v1` };
      const options = { name: 'ai-sdk', client, taskQueue: 'ai-sdk', workerEnv: env } as const;
      return { ...createTemporalDoor(options, site), close: () => model.close() };
    },
  };
}

/** Asks for the first invoice that has no result yet, one per turn; decided from the conversation alone. */
export function nextPayment(request: NeutralRequest): ModelReply {
  const invoices = JSON.parse(lastUserText(request)) as Invoice[];
  const next = invoices[toolResults(request).length];
  if (!next) return { text: 'All invoices are paid.' };
  return { toolCalls: [{ name: `pay_${next.bank}`, arguments: next }] };
}
