// What this folder uses of packages that are not installed with Pawl; their own types are wider.

declare module '@temporalio/ai-sdk' {
  export class AiSdkPlugin {
    readonly name: string;
    constructor(options: { readonly modelProvider: unknown });
  }
}

declare module '@temporalio/ai-sdk/workflow' {
  export const temporalProvider: { languageModel(modelId: string): unknown };
}

declare module '@ai-sdk/anthropic' {
  export function createAnthropic(options: {
    readonly baseURL: string;
    readonly apiKey: string;
  }): unknown;
}

declare module 'ai' {
  export interface Step {
    readonly toolResults: readonly { readonly output: unknown }[];
  }
  export function generateText(options: {
    readonly model: unknown;
    readonly system: string;
    readonly prompt: string;
    readonly tools: Readonly<Record<string, unknown>>;
    readonly stopWhen: unknown;
  }): Promise<{ readonly steps: readonly Step[] }>;
  export function stepCountIs(count: number): unknown;
  export function tool<I, O>(options: {
    readonly description: string;
    readonly inputSchema: unknown;
    execute(input: I): Promise<O>;
  }): unknown;
}
