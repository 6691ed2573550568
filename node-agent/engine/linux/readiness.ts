// Is a descriptor readable, writable, hung up? poll(2).
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';

export const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 16, RDHUP: 0x2000 } as const;

const FIONREAD = 0x541b;
const FOR_EVER = -1;
const EINTR = 4;
const MAX_TRIES = 1000;
const scratch = allocate(4096);

/** Events of a descriptor of this process right now. */
export function pollNow(fd: number, events: number): number {
  return poll(fd, events, 0);
}

/** Until there is something to read, or nothing will ever be: with the whole process. */
export function waitUntilReadable(fd: number): void {
  while (poll(fd, POLL.IN, FOR_EVER) === 0);
}

function poll(fd: number, events: number, millis: number): number {
  scratch.view.setInt32(0, fd, true);
  scratch.view.setInt16(4, events, true);
  scratch.view.setInt16(6, 0, true);
  const poll = (): number => syscall(SYS.poll, scratch.address, 1, millis);
  let result = poll();
  // Signals that a runtime catches for itself (a child has stopped) end even a call that does not wait.
  for (let tries = 0; result === -EINTR && tries < MAX_TRIES; tries++) result = poll();
  check(result, 'poll', { object: `fd ${fd}` });
  return scratch.view.getUint16(6, true);
}

/** Bytes that can be read without waiting (of datagrams: of the first one). */
export function readableBytes(fd: number): number {
  check(syscall(SYS.ioctl, fd, FIONREAD, scratch.address), 'ioctl(FIONREAD)', {
    object: `fd ${fd}`,
  });
  return scratch.view.getInt32(0, true);
}
