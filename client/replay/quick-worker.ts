// For a process that does nothing but replay: Temporal's worker without what only a live one needs of it.
import { createRequire } from 'node:module';
import type { Runtime, Worker } from '@temporalio/worker';
import type { coresdk } from '@temporalio/proto';
import { loadPackage } from './load-package.ts';
import { sendRawHistories } from './raw-history.ts';

/** What is known of the SDK's insides is known of this version; another one replays by its own worker, as right and slower. */
const KNOWN_SDK = /^1\.24\./;

type Activation = coresdk.workflow_activation.WorkflowActivation;

/** What the worker knows of an execution between two activations. */
interface State {
  readonly workflow: {
    activate(
      activation: Activation,
    ): Promise<coresdk.workflow_completion.IWorkflowActivationCompletion>;
    getAndResetSinkCalls(): Promise<readonly unknown[]>;
  };
  readonly logAttributes: Record<string, unknown>;
}

interface Handled {
  readonly state: State | undefined;
  readonly output: { readonly close: boolean; readonly completion?: Uint8Array };
}

/** The members of the SDK's worker that are used here; most are protected. */
interface WorkerInside {
  readonly nativeWorker: {
    pollWorkflowActivation(): Promise<Buffer>;
    completeWorkflowActivation(completion: Buffer): Promise<void>;
    initiateShutdown(): void;
    finalizeShutdown(): Promise<void>;
  };
  readonly options: {
    readonly loadedDataConverter: {
      readonly payloadCodecs: readonly unknown[];
      readonly externalStorage?: unknown;
    };
  };
  handleActivation(
    state: State | undefined,
    job: { activation: Activation; synthetic: boolean },
  ): Promise<Handled>;
  processSinkCalls(calls: readonly unknown[], attributes: State['logAttributes']): Promise<void>;
}

export function isKnownSdk(): boolean {
  const require = createRequire(import.meta.url);
  const { version } = require('@temporalio/worker/package.json') as { version: string };
  return KNOWN_SDK.test(version);
}

/**
 * The worker with a plain loop instead of its streams, and without the walk through each activation and completion in
 * search of payloads to encode, where there is no codec. What Core and the sandbox are asked, and in which order, is the
 * same. Process-wide and undone by nothing: never call this in a worker.
 */
export async function quickenWorker(sdk: {
  readonly Worker: typeof Worker;
  readonly Runtime: typeof Runtime;
}): Promise<typeof Worker> {
  const { coresdk } = (await loadPackage('@temporalio/proto', () => import('@temporalio/proto')))
    .default;
  const { WorkflowActivation } = coresdk.workflow_activation;
  const encode = createEncode(coresdk.workflow_completion.WorkflowActivationCompletion);
  sendRawHistories(sdk.Runtime);
  const Base = sdk.Worker as unknown as new (...args: never[]) => WorkerInside;
  class QuickWorker extends Base {
    shutdown(): void {
      this.nativeWorker.initiateShutdown();
    }

    async run(): Promise<void> {
      const { nativeWorker } = this;
      const states = new Map<string, State>();
      let failure: { readonly error: unknown } | undefined;
      const end = (error: unknown): void => {
        failure ??= { error };
        nativeWorker.initiateShutdown();
      };
      try {
        for (;;) {
          const bytes = await nativeWorker.pollWorkflowActivation();
          const activation = WorkflowActivation.decode(new Uint8Array(bytes));
          const { runId } = activation;
          const { state, output } = await this.handle(states.get(runId), activation);
          if (state && !output.close) states.set(runId, state);
          else states.delete(runId);
          // Not awaited, as in the SDK: what Core has next comes by the next poll.
          nativeWorker.completeWorkflowActivation(toBuffer(output.completion)).catch(end);
        }
      } catch (error) {
        if (failure) throw failure.error;
        if (!(error instanceof Error) || error.name !== 'ShutdownError') throw error;
      } finally {
        await nativeWorker.finalizeShutdown();
      }
    }

    private handle(state: State | undefined, activation: Activation): Promise<Handled> {
      const { payloadCodecs, externalStorage } = this.options.loadedDataConverter;
      const isPlain = payloadCodecs.length === 0 && !externalStorage;
      return state && isPlain && !activation.jobs.some((job) => job.removeFromCache)
        ? this.activate(state, activation)
        : this.handleActivation(state, { activation, synthetic: false });
    }

    private async activate(state: State, activation: Activation): Promise<Handled> {
      const { workflow, logAttributes } = state;
      const completion = await workflow.activate(activation);
      const calls = await workflow.getAndResetSinkCalls();
      if (calls.length > 0) await this.processSinkCalls(calls, logAttributes);
      return { state, output: { close: false, completion: encode(completion, activation.runId) } };
    }
  }
  return QuickWorker as unknown as typeof Worker;
}

type Completions = typeof coresdk.workflow_completion.WorkflowActivationCompletion;

function createEncode(completions: Completions): (completion: object, runId: string) => Uint8Array {
  const toBytes = (plain: object): Uint8Array =>
    completions.encodeDelimited(completions.fromObject(plain)).finish();
  return (completion, runId) => {
    try {
      return toBytes(completion);
    } catch (error) {
      // A command that cannot be put in words fails the task, as in the SDK.
      return toBytes({ runId, failed: { failure: { message: String(error) } } });
    }
  };
}

function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
