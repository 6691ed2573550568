// How unix sockets come to be again, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnixState } from '../../image/messages/enums.ts';
import type { SkOptsEntry, UnixSkEntry } from '../../image/messages/sockets.ts';
import { SOCK } from '../../linux/sockets.ts';
import { NO_OWNER } from './owner.ts';
import { planUnixSockets, socketPath } from './unix-plan.ts';

const opts: SkOptsEntry = {
  soSndbuf: 0,
  soRcvbuf: 0,
  soSndTmoSec: 0n,
  soSndTmoUsec: 0n,
  soRcvTmoSec: 0n,
  soRcvTmoUsec: 0n,
  soFilter: [],
  extra: [],
};

function socket(ino: number, more: Partial<UnixSkEntry> & { text?: string } = {}): UnixSkEntry {
  const { text = '', ...fields } = more;
  return {
    id: ino,
    ino,
    type: SOCK.STREAM,
    state: UnixState.ESTABLISHED,
    flags: 2,
    uflags: 0,
    backlog: 0,
    peer: 0,
    fown: NO_OWNER,
    opts,
    name: Buffer.from(text),
    ...fields,
  };
}

/** Kinds with the inodes of who takes part. */
const kinds = (entries: readonly UnixSkEntry[], queued: readonly number[] = []) =>
  planUnixSockets(entries, ({ ino }) => queued.includes(ino)).map((plan) => {
    if (plan.kind === 'pair') return `pair ${plan.a.ino} ${plan.b.ino}`;
    if (plan.kind === 'accepted') {
      return `accepted ${plan.server.ino} ${plan.client?.ino ?? 'nobody'}`;
    }
    return `${plan.kind} ${plan.socket.ino}`;
  });

test('two nameless ends are a pair', () => {
  assert.deepEqual(kinds([socket(1, { peer: 2 }), socket(2, { peer: 1 })]), ['pair 1 2']);
});

test('the end with a name was accepted, whoever comes first', () => {
  const client = socket(1, { peer: 2 });
  const server = socket(2, { peer: 1, text: '/s\0' });
  assert.deepEqual(kinds([client, server]), ['accepted 2 1']);
  assert.deepEqual(kinds([server, client]), ['accepted 2 1']);
});

test('of two named ends the one with the name of a listener was accepted', () => {
  const listener = socket(1, { state: UnixState.LISTEN, text: '/s\0' });
  const client = socket(2, { peer: 3, text: '/c\0' });
  const server = socket(3, { peer: 2, text: '/s\0' });
  assert.deepEqual(kinds([listener, client, server]), ['single 1', 'accepted 3 2']);
});

test('an end whose other side is closed is an orphan, with a name an accepted one', () => {
  assert.deepEqual(kinds([socket(1), socket(2, { text: '/s\0' })]), [
    'orphan 1',
    'accepted 2 nobody',
  ]);
});

test('who waits to be accepted is made alone', () => {
  const listener = socket(1, { state: UnixState.LISTEN, text: '/s\0' });
  assert.deepEqual(kinds([listener, socket(2, { peer: 1 })]), ['single 1', 'single 2']);
});

test('datagram sockets: pairs by their peers, orphans by what they have to read', () => {
  const datagram = (ino: number, more: Parameters<typeof socket>[1] = {}) =>
    socket(ino, { type: SOCK.DGRAM, state: UnixState.CLOSE, ...more });
  assert.deepEqual(kinds([datagram(1, { peer: 2, text: '/a\0' }), datagram(2, { peer: 1 })]), [
    'pair 1 2',
  ]);
  assert.deepEqual(kinds([datagram(1), datagram(2)], [2]), ['single 1', 'orphan 2']);
  assert.deepEqual(kinds([datagram(1, { text: '/a\0' }), datagram(2, { peer: 1 })]), [
    'single 1',
    'single 2',
  ]);
});

test('the file of a name: absolute, relative to a directory, none', () => {
  assert.equal(socketPath(socket(1, { text: '/run/s\0' })), '/run/s');
  assert.equal(socketPath(socket(1, { text: 's\0', nameDir: '/run' })), '/run/s');
  assert.equal(socketPath(socket(1, { text: '\0abstract' })), undefined);
  assert.equal(socketPath(socket(1)), undefined);
});
