// What the process of a rehearsal has open: sockets and files, so that the code that saves and restores them has run before
// it counts.
import { SYS } from './arch/x86-64.ts';
import { closeFd, fcntl, FCNTL, makePipe } from './linux/descriptors.ts';
import { check } from './linux/error.ts';
import { allocate, release, syscall } from './linux/ffi.ts';
import { O, openPath } from './linux/file-facts.ts';
import { AF, makeSocket, SOCK } from './linux/sockets.ts';

/** So many times does each kind run that it is compiled by then. */
const PAIRS = 20;
const FILES = 40;

/** Descriptors of this process that a program it starts inherits. Dispose of them when it has started. */
export class RehearsalDescriptors implements Disposable {
  readonly #fds: number[] = [];

  constructor() {
    try {
      for (let i = 0; i < PAIRS; i++) this.#fds.push(...socketPair());
      for (let i = 0; i < FILES; i++) this.#fds.push(openPath('/dev/null', O.RDONLY));
      this.#fds.push(...makePipe());
      for (const type of [SOCK.STREAM, SOCK.DGRAM]) this.#fds.push(makeSocket(AF.INET, type, 0));
      for (const fd of this.#fds) fcntl(fd, FCNTL.F_SETFD, 0);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.splice(0)) closeFd(fd);
  }
}

function socketPair(): [number, number] {
  const memory = allocate(8);
  try {
    check(
      syscall(SYS.socketpair, AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC, 0, memory.address),
      'socketpair',
    );
    return [memory.view.getInt32(0, true), memory.view.getInt32(4, true)];
  } finally {
    release(memory);
  }
}
