// The wire as a process sees it: real Response objects, the errors that undici throws, and time that passes on the way.
import type { SimProcess } from './process.ts';
import { type Answer, type Arrival, wireMs } from './receiver.ts';
import type { World } from './world.ts';

/** A `fetch` to the receiver; stops answering for ever once its process is dead. */
export function createRemoteWire(world: World, process: SimProcess): typeof fetch {
  return (input, init) => {
    if (!process.isAlive()) return new Promise(() => undefined);
    const request = toArrival(input as string, init);
    return exchange(world, process, request, init?.signal ?? undefined);
  };
}

function exchange(
  world: World,
  process: SimProcess,
  request: Arrival,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const { time, random, receiver, count } = world;
  const who = `${request.method} ${request.path}`;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    const reply = (run: () => void): void => time.after(wireMs(random), () => process.deliver(run));
    if (!receiver.listens(request.method)) {
      world.note(process.name, `${who}: connection refused`);
      return reply(() => reject(noConnection()));
    }
    world.note(process.name, `${who}: sent`);
    if (request.method === 'POST') count.sends += 1;
    time.after(wireMs(random), () => {
      // What the process had written when it died, or gave up, may have left the machine or not.
      if ((!process.isAlive() || signal?.aborted) && world.chance(0.5)) return;
      world.note('receiver', `${who}: arrived`);
      receiver.handle(request, (answer) => {
        world.note('receiver', `${who}: ${toWords(answer)}, ${receiver.receipts.length} receipts`);
        reply(() => (answer.kind === 'reset' ? reject(reset()) : resolve(toResponse(answer))));
      });
    });
  });
}

function toWords(answer: Answer): string {
  return answer.kind === 'answer' ? String(answer.status) : answer.kind;
}

function toArrival(url: string, init: RequestInit | undefined): Arrival {
  const headers = new Headers(init?.headers);
  const body = init?.body;
  return {
    method: init?.method ?? 'GET',
    path: new URL(url).pathname,
    key: headers.get('idempotency-key') ?? '',
    body: body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : '',
  };
}

function toResponse(answer: Exclude<Answer, { kind: 'reset' }>): Response {
  if (answer.kind === 'cut') return new Response(cutBody(), { status: 200 });
  const { status, body, retryAfterS } = answer;
  const headers = retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) };
  return new Response(body, { status, headers });
}

function cutBody(): ReadableStream {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('{"receiptId":'));
      const cause = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });
      controller.error(new TypeError('terminated', { cause }));
    },
  });
}

function reset(): TypeError {
  const cause = Object.assign(new Error('read ECONNRESET'), {
    code: 'ECONNRESET',
    syscall: 'read',
  });
  return new TypeError('fetch failed', { cause });
}

function noConnection(): TypeError {
  const cause = Object.assign(new Error('connect ECONNREFUSED 203.0.113.7:443'), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
  });
  return new TypeError('fetch failed', { cause });
}
