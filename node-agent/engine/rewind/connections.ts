// Connections of a tree that is about to be ended: those that go on are handed over, all others are reset, so that none of them
// lingers on a port that the saved tree wants.
import type { PositionEntry } from '../image/messages/sockets.ts';
import { closeFd } from '../linux/descriptors.ts';
import { LEVEL, SO, trySetOption } from '../linux/sockets.ts';
import { cookieOf, tcpSocketsOf } from '../linux/tcp-sockets.ts';
import { readPosition } from '../state/files/tcp-position.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';

/** More would exhaust the engine's own descriptors. */
const MOST = 4096;

/** Nothing about them changes before {@link reset}. */
export class OpenConnections implements Disposable {
  readonly #fds: number[] = [];
  /** inodes of their sockets */
  readonly inodes = new Set<bigint>();

  constructor(processes: readonly TracedProcess[]) {
    for (const { pid } of processes) {
      for (const { fd, ino } of tcpSocketsOf(pid, MOST - this.#fds.length)) {
        this.#fds.push(fd);
        this.inodes.add(ino);
      }
    }
  }

  /** How far the processes, which stand still, are in these connections; without those that have ended. */
  positions(cookies: ReadonlySet<bigint>): Map<bigint, PositionEntry> {
    const found = new Map<bigint, PositionEntry>();
    for (const fd of this.#fds) {
      const cookie = cookieOf(fd);
      if (!cookies.has(cookie) || found.has(cookie)) continue;
      const position = readPosition(fd);
      if (position) found.set(cookie, position);
    }
    return found;
  }

  /** One descriptor of each, which are the caller's from here on: {@link reset} leaves these connections alone. */
  take(cookies: ReadonlySet<bigint>): number[] {
    const taken = new Map<bigint, number>();
    for (const fd of this.#fds.splice(0)) {
      const cookie = cookieOf(fd);
      if (!cookies.has(cookie)) this.#fds.push(fd);
      else if (taken.has(cookie)) closeFd(fd);
      else taken.set(cookie, fd);
    }
    return [...taken.values()];
  }

  /** When their processes have ended, ours is the last descriptor: closing it sends the reset. */
  reset(): void {
    const atOnce = Buffer.alloc(8);
    atOnce.writeInt32LE(1, 0);
    for (const fd of this.#fds) trySetOption(fd, LEVEL.SOCKET, SO.LINGER, atOnce);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.splice(0)) closeFd(fd);
  }
}
