// The receipts log: what survives a kill, what a torn write leaves, what a reader refuses.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFileSync, readFileSync } from 'node:fs';
import { openReceiptsLog, readReceipts } from '../../devstack/receivers/receipts-log.ts';
import type { RequestLine } from '../../devstack/receivers/receipts-log.ts';
import { createScratch } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

const request = (seq: number): Omit<RequestLine, 'v' | 'receiver'> => ({
  kind: 'request',
  seq,
  atMs: 1_000 + seq,
  method: 'POST',
  path: '/transfers',
  headers: {},
  body: `{"n":${seq}}\n"é`,
  bodySha256: 'abc',
  complete: true,
});

describe('receipts log', () => {
  let scratch: Scratch;
  beforeEach(() => void (scratch = createScratch()));
  afterEach(() => scratch.cleanUp());

  it('a line is appended → a reader sees it at once, byte for byte, before any sync', async () => {
    const log = openReceiptsLog(scratch.logFile(), 'bank');
    const line = log.append<RequestLine>(request(1));
    expect(readReceipts(log.file).lines).toEqual([line]);
    expect(line).toEqual({ v: 1, receiver: 'bank', ...request(1) });
    await log.close();
  });

  it('a hundred appends wait for the disk together → all are in the file, in order', async () => {
    const log = openReceiptsLog(scratch.logFile(), 'bank');
    const numbers = Array.from({ length: 100 }, (_, n) => n + 1);
    await Promise.all(
      numbers.map((n) => {
        log.append<RequestLine>(request(n));
        return log.synced();
      }),
    );
    expect(readReceipts(log.file).requests.map(({ seq }) => seq)).toEqual(numbers);
    await log.close();
  });

  it('the last line is torn by a kill → the reader leaves it out, the next writer cuts it off', async () => {
    const file = scratch.logFile();
    const first = openReceiptsLog(file, 'bank');
    first.append<RequestLine>(request(1));
    await first.close();
    appendFileSync(file, '{"v":1,"kind":"requ');
    expect(readReceipts(file).requests).toHaveLength(1);
    const second = openReceiptsLog(file, 'bank');
    expect(second.restored).toHaveLength(1);
    second.append<RequestLine>(request(2));
    await second.close();
    expect(readReceipts(file).requests.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(3);
  });

  it('a whole line is damaged → the error names file and line', async () => {
    const file = scratch.logFile();
    const log = openReceiptsLog(file, 'bank');
    log.append<RequestLine>(request(1));
    await log.close();
    appendFileSync(file, 'nonsense\n');
    expect(() => readReceipts(file)).toThrow(`${file}:2 is no line of a receipts log.`);
    expect(() => openReceiptsLog(file, 'bank')).toThrow(`${file}:2 is no line`);
  });

  it('the file does not exist → an error, never zero receipts', () => {
    const file = scratch.logFile();
    expect(() => readReceipts(file)).toThrow(`No receipts log at ${file}`);
  });

  it('an append after close → refused: the descriptor may be another file by now', async () => {
    const log = openReceiptsLog(scratch.logFile(), 'bank');
    await log.close();
    expect(() => log.append<RequestLine>(request(1))).toThrow('is closed');
  });
});
