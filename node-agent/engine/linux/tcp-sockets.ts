// The TCP sockets that processes have open, but for listeners; their kernel-wide names.
import { readdirSync, readlinkSync } from 'node:fs';
import { closeFd, pidfdGetfd, pidfdOpen } from './descriptors.ts';
import { getOption, intOption, LEVEL, SO, SOCK } from './sockets.ts';

const IPPROTO_TCP = 6;

/** One descriptor of a process; the same socket may have several. */
export interface TcpSocket {
  /** the engine's own */
  readonly fd: number;
  readonly ino: bigint;
}

/**
 * Copies of a process's descriptors, to be closed by the caller.
 *
 * @param most no more than these: they are the engine's own descriptors
 */
export function tcpSocketsOf(pid: number, most: number): TcpSocket[] {
  const sockets: TcpSocket[] = [];
  using pidfd = pidfdOpen(pid);
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    if (sockets.length >= most) break;
    const ino = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1];
    if (ino === undefined) continue;
    const fd = pidfdGetfd(pidfd, Number(name), pid);
    if (isConnection(fd)) sockets.push({ fd, ino: BigInt(ino) });
    else closeFd(fd);
  }
  return sockets;
}

function isConnection(fd: number): boolean {
  return (
    intOption(fd, LEVEL.SOCKET, SO.PROTOCOL) === IPPROTO_TCP &&
    intOption(fd, LEVEL.SOCKET, SO.TYPE) === SOCK.STREAM &&
    intOption(fd, LEVEL.SOCKET, SO.ACCEPTCONN) === 0
  );
}

/** SO_COOKIE: no other socket has it until the machine starts anew. */
export const cookieOf = (fd: number): bigint =>
  getOption(fd, LEVEL.SOCKET, SO.COOKIE, 8)?.readBigUInt64LE(0) ?? 0n;
