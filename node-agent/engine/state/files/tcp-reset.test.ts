// What an established connection becomes: a program must take it for dead, never for a stream that ended well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SYS } from '../../arch/x86-64.ts';
import { closeFd, fcntl, FCNTL } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { allocate, syscall } from '../../linux/ffi.ts';
import { O } from '../../linux/file-facts.ts';
import { POLL, pollNow } from '../../linux/readiness.ts';
import { AF, makeSocket, MSG, SOCK } from '../../linux/sockets.ts';
import type { FileOpening } from './file-opening.ts';
import { closeUnconnected, resetConnection } from './tcp-reset.ts';

const EVENTS = POLL.IN | POLL.OUT | POLL.RDHUP;
const byte = allocate(4096);

const answer = (result: number): string =>
  result < 0 ? new LinuxError('', -result).errno : String(result);
const receive = (fd: number): string => answer(syscall(SYS.recvfrom, fd, byte.address, 1, 0, 0, 0));
const send = (fd: number): string =>
  answer(syscall(SYS.sendto, fd, byte.address, 1, MSG.NOSIGNAL, 0, 0));

/** The little of an opening that a connection needs: the process it belongs to, here ourselves. */
function ownOpening(): { readonly opening: FileOpening; readonly end: () => void } {
  const steps: (() => void)[] = [];
  const shared = new Map<string, unknown>();
  const opening = {
    root: { process: { pid: process.pid } },
    once: <T>(key: string, make: () => T): T => {
      if (!shared.has(key)) shared.set(key, make());
      return shared.get(key) as T;
    },
    whenPlaced: (step: () => void) => void steps.push(step),
  } as unknown as FileOpening;
  return { opening, end: () => steps.forEach((step) => step()) };
}

for (const family of [AF.INET, AF.INET6]) {
  test(`a reset connection of family ${family}: error and hang-up, ECONNRESET, end, EPIPE`, () => {
    const { opening, end } = ownOpening();
    const sockets = [makeSocket(family, SOCK.STREAM, 0), makeSocket(family, SOCK.STREAM, 0)];
    for (const fd of sockets) {
      fcntl(fd, FCNTL.F_SETFL, O.RDWR | O.NONBLOCK);
      resetConnection(fd, family, opening);
    }
    end();
    for (const fd of sockets) {
      const events = pollNow(fd, EVENTS);
      assert.equal(events & (POLL.ERR | POLL.HUP), POLL.ERR | POLL.HUP);
      assert.deepEqual([receive(fd), receive(fd), send(fd)], ['ECONNRESET', '0', 'EPIPE']);
      assert.ok(fcntl(fd, FCNTL.F_GETFL) & O.NONBLOCK);
      closeFd(fd);
    }
  });
}

test('a closed connection: hang-up, end, EPIPE', () => {
  const fd = makeSocket(AF.INET, SOCK.STREAM, 0);
  closeUnconnected(fd);
  assert.ok(pollNow(fd, EVENTS) & POLL.HUP);
  assert.deepEqual([receive(fd), send(fd)], ['0', 'EPIPE']);
  closeFd(fd);
});
