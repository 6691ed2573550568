// A pair of this process, looked at while nothing and while something is on its way. Passes without any right, which TCP_REPAIR
// would need.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import { closeFd, fcntl, FCNTL } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import {
  acceptSocket,
  AF,
  bindSocket,
  connectSocket,
  listenSocket,
  localAddress,
  makeSocket,
  SHUT,
  shutdownSocket,
  SOCK,
} from '../../linux/sockets.ts';
import { connectionState, fillQueue, unacknowledged } from '../../linux/tcp-repair.ts';
import { addressBytes } from './inet-address.ts';
import { settle } from './tcp-pairs.ts';
import { lookAtQuietPair, type QuietEnd } from './tcp-quiet-pair.ts';
import { TCP_STATE } from './tcp-state.ts';

const LOOPBACK = 0x0100007f;

function makePair(t: TestContext): [QuietEnd, QuietEnd] {
  const [listener, client] = [
    makeSocket(AF.INET, SOCK.STREAM, 0),
    makeSocket(AF.INET, SOCK.STREAM, 0),
  ];
  bindSocket(listener, addressBytes(AF.INET, { port: 0, words: [LOOPBACK], scope: 0 }));
  listenSocket(listener, 1);
  connectSocket(client, localAddress(listener)!);
  const server = acceptSocket(listener);
  t.after(() => [listener, client, server].forEach((fd) => closeFd(fd)));
  const isk = {} as InetSkEntry;
  return [
    { fd: client, isk },
    { fd: server, isk },
  ];
}

/** An acknowledgement may take the kernel 40 ms. */
async function untilAcknowledged({ fd }: QuietEnd): Promise<void> {
  for (const end = Date.now() + 10_000; unacknowledged(fd) > 0; ) {
    assert.ok(Date.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('what both ends have still to read, with numbers that fit', async (t) => {
  const [a, b] = makePair(t);
  fillQueue(a.fd, Buffer.from('question'));
  fillQueue(b.fd, Buffer.from('answer'));
  shutdownSocket(a.fd, SHUT.WR);
  for (const end of [a, b]) await untilAcknowledged(end);
  assert.equal(connectionState(a.fd), TCP_STATE.FIN_WAIT2);
  const looks = lookAtQuietPair(a, b);
  assert.deepEqual(
    looks?.map(({ state, stream }) => [state, String(stream.bytes)]),
    [
      [TCP_STATE.FIN_WAIT2, 'answer'],
      [TCP_STATE.CLOSE_WAIT, 'question'],
    ],
  );
  const settled = looks && settle(...looks);
  assert.deepEqual(
    settled?.map(({ entry }) => [entry.inqLen, entry.outqLen, entry.paired]),
    [
      [6, 0, true],
      [8, 0, true],
    ],
  );
});

test('a pair with something on its way is not quiet', (t) => {
  const [a, b] = makePair(t);
  fcntl(a.fd, FCNTL.F_SETFL, O.RDWR | O.NONBLOCK);
  assert.throws(() => fillQueue(a.fd, Buffer.alloc(64 << 20)), { errno: 'EAGAIN' });
  assert.equal(lookAtQuietPair(a, b), undefined);
  assert.equal(lookAtQuietPair(b, a), undefined);
});
