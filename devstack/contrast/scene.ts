// What every scenario is given and gives back.

export interface Scene {
  /** For the logs of banks and workers. */
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
  /** Runs when the command ends, last registered first. */
  readonly atEnd: (cleanUp: () => Promise<unknown> | void) => void;
}

export interface Outcome {
  /** For `--json`. */
  readonly result: object;
  /** The same for a terminal. */
  readonly text: string;
  /** Why the command fails; undefined when it does not. */
  readonly problem: string | undefined;
  /** What can be said when it does not. */
  readonly success: string;
}
