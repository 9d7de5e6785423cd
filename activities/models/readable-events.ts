// Event streams as both SDKs can read them: they give up at the first event that is not JSON, while the rest is paid for.

/** What stands in the place of an event that can't be read. */
const UNREADABLE = 'pawl_unreadable';
const UNREADABLE_EVENT = `event: ${UNREADABLE}\ndata: {"type":"${UNREADABLE}"}\n\n`;

export function isUnreadable(event: unknown): boolean {
  return (event as { type?: unknown } | null | undefined)?.type === UNREADABLE;
}

/** The same `fetch` but for event streams: an event that is not JSON is replaced by a mark, and each is named by its type. */
export function withReadableEvents(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await send(input, init);
    const isStream = response.headers.get('content-type')?.includes('text/event-stream') ?? false;
    if (!isStream || !response.body) return response;
    const body = response.body.pipeThrough(new TransformStream(new ReadableEvents()));
    const { status, statusText, headers } = response;
    return new Response(body, { status, statusText, headers });
  };
}

class ReadableEvents {
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #text = '';

  transform(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): void {
    const decoded = this.#decoder.decode(chunk, { stream: true });
    this.#text += decoded;
    // Looking at a long line with each of its chunks would copy it as often.
    if (!/[\r\n]/.test(decoded)) return;
    const blocks = this.#takeBlocks();
    if (blocks.length > 0) controller.enqueue(this.#encoder.encode(blocks.map(toEvent).join('')));
  }

  /** A stream that breaks off in the middle of an event leaves nothing of it. */
  flush(controller: TransformStreamDefaultController<Uint8Array>): void {
    const event = toEvent(normalise(this.#text + this.#decoder.decode()));
    if (event !== UNREADABLE_EVENT) controller.enqueue(this.#encoder.encode(event));
  }

  #takeBlocks(): readonly string[] {
    // Its other half may come with the next chunk.
    const isHeld = this.#text.endsWith('\r');
    const text = normalise(isHeld ? this.#text.slice(0, -1) : this.#text);
    const blocks = text.split('\n\n');
    this.#text = `${blocks.pop() ?? ''}${isHeld ? '\r' : ''}`;
    return blocks;
  }
}

function normalise(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

function toEvent(block: string): string {
  const data = block
    .split('\n')
    .flatMap((line) => (line.startsWith('data:') ? [line.slice(5).replace(/^ /, '')] : []));
  const text = data.join('\n');
  // Comments, and what some servers send to keep a connection open.
  if (text.trim() === '') return '';
  return text.startsWith('[DONE]') ? `data: ${text}\n\n` : named(text);
}

/** One SDK goes by the event's name, ours by its type: a name that differs would lose the event. */
function named(text: string): string {
  try {
    const value = JSON.parse(text) as { type?: unknown } | null;
    const type = String(value?.type ?? '');
    const name = /^\w{1,64}$/.test(type) ? type : 'message';
    return `event: ${name}\ndata: ${text.replaceAll('\n', '')}\n\n`;
  } catch {
    return UNREADABLE_EVENT;
  }
}
