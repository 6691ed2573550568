import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SkOptsEntry } from '../../image/messages/sockets.ts';
import { AF, SOCK } from '../../linux/sockets.ts';
import { newSocket, settingsOf } from './socket-options.ts';

const fresh = newSocket(AF.UNIX, SOCK.STREAM, 0);

const untouched: SkOptsEntry = {
  ...fresh,
  soSndTmoSec: 0n,
  soSndTmoUsec: 0n,
  soRcvTmoSec: 0n,
  soRcvTmoUsec: 0n,
  soRcvlowat: 1,
  soBufLock: 0,
  soFilter: [],
  extra: [],
};

const names = (opts: SkOptsEntry, like = true): string[] =>
  settingsOf(opts, like ? fresh : undefined).map(({ option }) => option);

test('of a socket as it is made nothing need be set', () => {
  assert.ok(fresh.soSndbuf > 0 && fresh.soRcvbuf > 0);
  assert.deepEqual(names(untouched), []);
});

test('a buffer of another size is set, and whether the program has set it', () => {
  const larger = { ...untouched, soSndbuf: fresh.soSndbuf * 2 };
  assert.deepEqual(names(larger), ['SNDBUFFORCE', 'BUF_LOCK']);
  assert.deepEqual(names({ ...untouched, soBufLock: 1 }), ['BUF_LOCK']);
});

test('where nobody knows what a new socket has, both buffers are set', () => {
  assert.deepEqual(names(untouched, false), ['SNDBUFFORCE', 'RCVBUFFORCE', 'BUF_LOCK']);
});

test('every other option is set that is not 0', () => {
  const opts = {
    ...untouched,
    soKeepalive: true,
    soPriority: 3,
    soRcvlowat: 7,
    extra: [{ level: 1, name: 40, value: 1 }],
    soFilter: [6n],
  };
  assert.deepEqual(names(opts), ['PRIORITY', 'RCVLOWAT', 'KEEPALIVE', '1/40', 'ATTACH_FILTER']);
});
