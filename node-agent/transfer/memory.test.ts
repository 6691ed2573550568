// How much of a bundle is in the memory of the two agents at a time, whatever its size and however slow the other side is.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../kube/testing/until.ts';
import { FRAME } from './frames.ts';
import { IncomingFile } from './incoming-file.ts';
import { PeerStream } from './peer-stream.ts';
import { startPeers } from './testing/peers.ts';

const MIB = 1 << 20;
const SENT_BYTES = 64 * MIB;
/** Pieces that are being written, those of the next write, and what comes in with the last look. */
const MOST_RECEIVED_BYTES = 7 * MIB;
/** Of the stream, and what one look at the socket brings. */
const MOST_WAITING_BYTES = 256 << 10;

/** What it is once it is the same for a while. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ; ) {
    const now = read();
    if (now === last) return now;
    last = now;
    await sleep(300);
  }
}

async function sendAll(stream: PeerStream, onSent: (bytes: number) => void): Promise<void> {
  const chunk = randomBytes(MIB);
  for (let sent = 0; sent < SENT_BYTES; sent += chunk.length) {
    await stream.send(FRAME.data, chunk);
    onSent(chunk.length);
  }
  await stream.send(FRAME.stored);
}

test('while a disk does not write, no more is taken than there is room for', async () => {
  await using peers = await startPeers();
  const { source, target, space, signal } = peers;
  await using sending = new PeerStream({ socket: source, signal });
  await using receiving = new PeerStream({ socket: target, signal });
  await using folder = await space.create('received');
  const { directory } = folder;
  const file = await IncomingFile.create(directory, 'pages');
  const disk = Promise.withResolvers<void>();
  const work = directory.on.bind(directory);
  directory.on = async (action) => {
    await disk.promise;
    return await work(action);
  };
  const sent = sendAll(sending, () => undefined);
  let taken = 0;
  const received = (async (): Promise<void> => {
    for await (const frames of receiving.frames()) {
      for (const { kind, content } of frames) {
        if (kind === FRAME.stored) return;
        taken += content.length;
        await file.write(content);
      }
    }
  })();
  await until('there is no room', () => taken > 4 * MIB);
  const inFlight = await settled(() => taken);
  assert.ok(inFlight < MOST_RECEIVED_BYTES, `${inFlight} bytes in flight`);
  disk.resolve();
  await Promise.all([sent, received]);
  const { sizeBytes } = await file.finish();
  assert.equal(sizeBytes, SENT_BYTES);
});

test('what nobody looks at stays in the kernel, and at the other side', async () => {
  await using peers = await startPeers();
  const { source, target, signal } = peers;
  await using sending = new PeerStream({ socket: source, signal });
  await using receiving = new PeerStream({ socket: target, signal });
  let sentBytes = 0;
  const sent = sendAll(sending, (bytes) => void (sentBytes += bytes));
  const frames = receiving.frames();
  await frames.next();
  const whole = await settled(() => sentBytes);
  assert.ok(whole < SENT_BYTES, 'the sender waits');
  assert.ok(target.readableLength < MOST_WAITING_BYTES, `${target.readableLength} bytes wait here`);
  const waiting = source.writableLength;
  assert.ok(waiting < 2 * MIB, `${waiting} bytes wait at the other side`);
  const last = ({ kind }: { readonly kind: number }): boolean => kind === FRAME.stored;
  for await (const some of frames) {
    if (some.some(last)) break;
  }
  await sent;
});
