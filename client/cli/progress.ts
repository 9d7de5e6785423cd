// One line on stderr while something takes longer than two seconds; nothing when stderr is no terminal.
import type { CliIo } from './cli-io.ts';

const QUIET_MS = 2_000;
const FRAME_MS = 120;
const FRAMES = ['|', '/', '-', '\\'];
const CLEAR_LINE = '\r\u001b[2K';

/** Awaits `work`; draws `label` (asked again each time when it is a function) and the seconds meanwhile, and leaves no trace. */
export async function withProgress<T>(
  io: CliIo,
  label: string | (() => string),
  work: Promise<T>,
): Promise<T> {
  if (!io.hasProgress) return work;
  const startedMs = performance.now();
  let isDrawn = false;
  let frame = 0;
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startedMs;
    if (elapsedMs < QUIET_MS) return;
    isDrawn = true;
    frame += 1;
    const mark = FRAMES[frame % FRAMES.length] ?? '';
    const text = typeof label === 'string' ? label : label();
    io.err(
      `${CLEAR_LINE}${io.paintError('dim', `${mark} ${text} (${Math.floor(elapsedMs / 1_000)} s)`)}`,
    );
  }, FRAME_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (isDrawn) io.err(CLEAR_LINE);
  }
}
