// Answers without end: bounded on the wire and unpacked, ended by the deadline, and after a 2xx no doubt.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Socket } from 'node:net';
import { gzipSync, createGzip, constants } from 'node:zlib';
import { createWire } from '../../activities/effects/wire.ts';
import { httpEffect } from '../../domain/schemas/http-effect.ts';
import { guarantee } from '../guarantee.ts';
import { type LocalServer, serve, serveTcp } from '../unit/local-server.ts';
import {
  KEY,
  type Payment,
  type PaymentOptions,
  paymentTool,
  type Receipt,
} from './support-engine.ts';
import { newCase, useEngine } from './support-engine-suite.ts';

const at = useEngine();
const MB = 1024 * 1024;

let closing: LocalServer[];
beforeEach(() => {
  closing = [];
});
afterEach(async () => {
  await Promise.all(closing.map((server) => server.close()));
});

interface Raw extends LocalServer {
  /** Bytes that the receiver could get rid of. */
  written(): number;
  requests(): readonly string[];
}

/** A receiver that answers each request with this head, and then with what `next` gives for as long as somebody reads. */
async function answering(head: string, next: () => Buffer | undefined, everyMs = 0): Promise<Raw> {
  let written = 0;
  const requests: string[] = [];
  const pump = (socket: Socket): void => {
    const chunk = next();
    if (socket.destroyed) return;
    if (!chunk) return void socket.end();
    written += chunk.length;
    const isFull = !socket.write(chunk);
    if (isFull) socket.once('drain', () => pump(socket));
    else setTimeout(() => pump(socket), everyMs);
  };
  const server = await serveTcp((socket) =>
    socket.once('data', (request) => {
      requests.push(request.toString());
      socket.write(`${head}\r\nconnection: close\r\n\r\n`);
      pump(socket);
    }),
  );
  closing.push(server);
  return Object.assign(server, { written: () => written, requests: () => requests });
}

const chunk = Buffer.alloc(64 * 1024, ' ');
const endless = (status: string) => answering(`HTTP/1.1 ${status}`, () => chunk);

function tool({ url }: LocalServer, more: PaymentOptions = {}) {
  return paymentTool({
    run: httpEffect({
      request: ({ reference }: Payment) => ({ url, body: { reference } }),
      response: (body) => body as Receipt,
    }),
    ...more,
  });
}

async function perform(server: Raw, more: PaymentOptions = {}) {
  const pay = tool(server, more);
  const { intent } = newCase(pay);
  const outcome = await at.engine.perform(pay, intent);
  return { outcome, record: await at.ledger.read(intent), sends: server.requests().length };
}

/** 256 MB of blanks in 256 KB; built by parts, so that it is never here as a whole. */
async function bomb(): Promise<Buffer> {
  const gzip = createGzip({ level: 9 });
  const parts: Buffer[] = [];
  gzip.on('data', (part: Buffer) => parts.push(part));
  const blanks = Buffer.alloc(4 * MB, ' ');
  for (let count = 0; count < 64; count += 1) {
    await new Promise<void>((resolve) => gzip.write(blanks, () => resolve()));
  }
  await new Promise<void>((resolve) => gzip.end(resolve));
  return Buffer.concat(parts);
}

describe('an answer that is too large', () => {
  guarantee(
    ['answers-bounded', 'ours-is-not-theirs'],
    'a 2xx without end → applied (output invalid), sent once, and not read on',
    async () => {
      for (const effect of ['once', KEY] as const) {
        const server = await endless('200 OK');
        const { outcome, record, sends } = await perform(server, { effect, maxAnswerBytes: MB });
        expect(outcome).toMatchObject({ kind: 'applied', output: null });
        expect(record.outputProblem).toMatch(/is larger than 1048576 bytes/);
        expect(sends).toBe(1);
        expect(server.written()).toBeLessThan(16 * MB);
      }
    },
  );

  guarantee(
    'answers-bounded',
    '256 MB in 256 KB of gzip → memory stays bounded, applied',
    async () => {
      const packed = await bomb();
      expect(packed.length).toBeLessThan(MB);
      let parts = [packed, undefined];
      const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip';
      const server = await answering(head, () => parts.shift());
      const beforeBytes = process.memoryUsage().rss;
      const { outcome, sends } = await perform(server);
      expect(outcome).toMatchObject({ kind: 'applied', output: null });
      expect(sends).toBe(1);
      expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(150 * MB);
      parts = [];
    },
  );

  guarantee(
    'answers-bounded',
    'gzip that unpacks to nothing, for ever → the wire is bounded, too',
    async () => {
      const start = gzipSync('', { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, 10);
      // Empty stored blocks: five bytes each, and not one of output.
      const nothing = Buffer.concat(
        Array.from({ length: 10_000 }, () => Buffer.from('000000ffff', 'hex')),
      );
      let isFirst = true;
      const server = await answering('HTTP/1.1 200 OK\r\ncontent-encoding: gzip', () => {
        const part = isFirst ? start : nothing;
        isFirst = false;
        return part;
      });
      const { outcome, sends } = await perform(server, { maxAnswerBytes: MB });
      expect(outcome).toMatchObject({ kind: 'applied', output: null });
      expect(sends).toBe(1);
      expect(server.written()).toBeLessThan(16 * MB);
    },
  );

  it('a refusal without end → the refusal that its status documents', async () => {
    const { outcome, sends } = await perform(await endless('402 No'), { maxAnswerBytes: MB });
    expect(outcome).toMatchObject({ kind: 'refused', code: 'http_402' });
    expect(sends).toBe(1);
  });

  it('a read without end → an error that names the limit', async () => {
    const server = await endless('200 OK');
    const wire = createWire({ privateNetworks: 'allow' });
    const answer = await wire(server.url, { method: 'GET' }, { maxAnswerBytes: MB });
    const error = await answer.text().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'AnswerTooLarge', code: 'PAWL_ANSWER_TOO_LARGE' });
    expect(server.written()).toBeLessThan(16 * MB);
  });

  it('an answer of exactly the limit → whole', async () => {
    const server = await serve((_, response) => response.end('x'.repeat(1_000)));
    closing.push(server);
    const wire = createWire({ privateNetworks: 'allow' });
    const whole = await wire(server.url, { method: 'GET' }, { maxAnswerBytes: 1_000 });
    expect(await whole.text()).toHaveLength(1_000);
    const short = await wire(server.url, { method: 'GET' }, { maxAnswerBytes: 999 });
    await expect(short.text()).rejects.toMatchObject({ name: 'AnswerTooLarge' });
  });
});

describe('an answer that drips', () => {
  guarantee(
    ['answers-bounded', 'law-06-ambiguous'],
    'a byte every 20 ms → ended by the deadline: it did not arrive to its end, so it is a doubt',
    async () => {
      const server = await answering('HTTP/1.1 200 OK', () => Buffer.from(' '), 20);
      const { outcome, sends } = await perform(server, { timeout: '500ms' });
      expect(outcome).toMatchObject({ kind: 'in_doubt' });
      expect(sends).toBe(1);
    },
  );
});

describe('what is asked for', () => {
  it.each([
    [{}, 'identity'],
    [{ 'Accept-Encoding': 'gzip' }, 'gzip'],
  ])('headers %j → accept-encoding: %s', async (headers, expected) => {
    const server = await serve((_, response) => response.end('{}'));
    closing.push(server);
    const wire = createWire({ privateNetworks: 'allow' });
    await wire(server.url, { method: 'POST', body: '{}', headers });
    expect(server.arrived[0]?.headers['accept-encoding']).toBe(expected);
  });

  it('gzip that was asked for → unpacked', async () => {
    const server = await serve((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"id":"r1"}')),
    );
    closing.push(server);
    const wire = createWire({ privateNetworks: 'allow' });
    const answer = await wire(server.url, { headers: { 'accept-encoding': 'gzip' } });
    expect(await answer.json()).toEqual({ id: 'r1' });
  });
});
