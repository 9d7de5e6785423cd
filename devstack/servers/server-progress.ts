// What a server tells while it is found, built and started; a listener may print it or ignore it.

/**
 * One line of progress. `elapsedSeconds` is set while something long (a download, a build) goes on.
 */
export interface ServerProgress {
  readonly server: 'temporal' | 'postgres';
  readonly message: string;
  readonly elapsedSeconds?: number;
}

export type ProgressListener = (progress: ServerProgress) => void;

/**
 * Reports `message` now and every five seconds with the seconds gone, until the returned function
 * is called.
 */
export function reportWhile(
  onProgress: ProgressListener | undefined,
  progress: ServerProgress,
): () => void {
  const startedMs = Date.now();
  const report = (): void =>
    onProgress?.({ ...progress, elapsedSeconds: Math.round((Date.now() - startedMs) / 1000) });
  report();
  const timer = setInterval(report, 5000);
  return () => clearInterval(timer);
}
