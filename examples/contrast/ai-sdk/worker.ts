// The worker of the AI SDK agent: the plugin makes each model call an activity, and each payment is one already.
import { fileURLToPath } from 'node:url';
import { createAnthropic } from '@ai-sdk/anthropic';
import { AiSdkPlugin } from '@temporalio/ai-sdk';
import { NativeConnection, Worker } from '@temporalio/worker';
import * as activities from './activities.ts';

const modelProvider = createAnthropic({
  baseURL: process.env['MODEL_URL'] ?? 'https://api.anthropic.com/v1',
  apiKey: process.env['ANTHROPIC_API_KEY'] ?? 'local',
});
const worker = await Worker.create({
  plugins: [new AiSdkPlugin({ modelProvider })],
  connection: await NativeConnection.connect({ address: process.env['TEMPORAL_ADDRESS'] ?? '' }),
  taskQueue: 'ai-sdk',
  workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
  activities,
});
process.stdout.write('ready\n');
await worker.run();
