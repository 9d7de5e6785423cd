// Loaded ahead of the worker whose memory is measured, into each of its threads (tsx is not in them, so it is JavaScript):
// collects garbage when asked and says what is left.
import { once } from 'node:events';
import { getHeapStatistics } from 'node:v8';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const threads = new BroadcastChannel('pawl-memory');
threads.unref();

/** In MB. Twice: what a finalizer lets go of in the first is garbage in the second. */
async function collect() {
  for (let round = 0; round < 2; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return (heap + external) / 2 ** 20;
}

function answerToMain() {
  threads.onmessage = async ({ data }) => {
    if (data === 'collect') threads.postMessage(await collect());
  };
  threads.postMessage('here');
}

function answerToBenchmark() {
  let others = 0;
  let left = [];
  const heard = new EventTarget();
  threads.onmessage = ({ data }) => {
    if (data === 'here') others += 1;
    else left.push(data);
    heard.dispatchEvent(new Event('heard'));
  };
  process.on('message', async ({ kind }) => {
    if (kind !== 'collect') return;
    left = [];
    threads.postMessage('collect');
    while (left.length < others) await once(heard, 'heard');
    const heapMb = left.reduce((sum, mb) => sum + mb, await collect());
    process.send({ kind: 'collected', heapMb });
  });
}

if (isMainThread) answerToBenchmark();
else answerToMain();
