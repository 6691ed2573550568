// Connections of a tree that is about to be ended: reset, so that none of them lingers on a port that the saved tree wants.
import { readdirSync, readlinkSync } from 'node:fs';
import { closeFd, pidfdGetfd, pidfdOpen } from '../linux/descriptors.ts';
import { intOption, LEVEL, SO, SOCK, trySetOption } from '../linux/sockets.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';

const IPPROTO_TCP = 6;
/** More would exhaust the engine's own descriptors. */
const MOST = 4096;

/** Nothing about them changes before {@link reset}. */
export class OpenConnections implements Disposable {
  readonly #fds: number[] = [];
  /** inodes of their sockets */
  readonly inodes = new Set<bigint>();

  constructor(processes: readonly TracedProcess[]) {
    for (const { pid } of processes) this.#hold(pid);
  }

  #hold(pid: number): void {
    using pidfd = pidfdOpen(pid);
    for (const name of readdirSync(`/proc/${pid}/fd`)) {
      if (this.#fds.length >= MOST) return;
      const ino = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1];
      if (ino === undefined) continue;
      const fd = pidfdGetfd(pidfd, Number(name), pid);
      if (isConnection(fd)) {
        this.#fds.push(fd);
        this.inodes.add(BigInt(ino));
      } else closeFd(fd);
    }
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

function isConnection(fd: number): boolean {
  return (
    intOption(fd, LEVEL.SOCKET, SO.PROTOCOL) === IPPROTO_TCP &&
    intOption(fd, LEVEL.SOCKET, SO.TYPE) === SOCK.STREAM &&
    intOption(fd, LEVEL.SOCKET, SO.ACCEPTCONN) === 0
  );
}
