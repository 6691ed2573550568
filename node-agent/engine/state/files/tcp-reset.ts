// A connection that the other side has just reset: what a restored application finds in place of its established ones.
import { SYS } from '../../arch/x86-64.ts';
import { closeFd, fcntl, FCNTL } from '../../linux/descriptors.ts';
import { syscall } from '../../linux/ffi.ts';
import { O } from '../../linux/file-facts.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import {
  acceptSocket,
  AF,
  getOption,
  intBytes,
  LEVEL,
  listenSocket,
  localAddress,
  SHUT,
  SO,
  SOCK,
  tryAddress,
  trySetOption,
} from '../../linux/sockets.ts';
import type { FileOpening } from './file-opening.ts';
import { addressBytes, parseAddress } from './inet-address.ts';

const BACKLOG = 8;
const LOOPBACK_V4 = 0x0100007f;
/** ::ffff:127.0.0.1 and ::1 as words in network order */
const MAPPED_LOOPBACK = [0, 0, 0xffff0000, LOOPBACK_V4];
const LOOPBACK_V6 = [0, 0, 0, 0x01000000];

interface Loopback {
  readonly listener: number;
  /** struct sockaddr to connect to, by the family of who connects */
  readonly v4: Buffer | undefined;
  readonly v6: Buffer | undefined;
}

/**
 * Connects a socket to the engine over the loopback of its network namespace and resets the connection, so that the
 * socket is in the very state of a real reset: poll says error and hang-up, the first read ECONNRESET, later ones end of
 * file, writes EPIPE. No packet leaves the namespace. Where loopback is down the socket stays unconnected: poll says
 * hang-up, reads ENOTCONN, writes EPIPE.
 */
export function resetConnection(fd: number, family: number, opening: FileOpening): void {
  const loopback = opening.once(`tcp loopback ${family}`, () => openLoopback(family, opening));
  if (!loopback) return;
  const address = family === AF.INET6 ? loopback.v6 : loopback.v4;
  if (!address) return;
  const flags = fcntl(fd, FCNTL.F_GETFL);
  // A handshake over loopback is over when connect(2) returns, but only a blocking one waits for that.
  fcntl(fd, FCNTL.F_SETFL, flags & ~O.NONBLOCK);
  const linger = getOption(fd, LEVEL.SOCKET, SO.LINGER, 8);
  if (tryAddress('connect', fd, address) === 0) abort(acceptSocket(loopback.listener));
  if (linger) trySetOption(fd, LEVEL.SOCKET, SO.LINGER, linger);
  fcntl(fd, FCNTL.F_SETFL, flags);
}

/**
 * Shuts a socket that never was connected: poll says hang-up, reads give end of file, writes EPIPE. The kernel does it
 * although it answers ENOTCONN.
 */
export function closeUnconnected(fd: number): void {
  syscall(SYS.shutdown, fd, SHUT.RDWR);
}

/** Closing with a linger time of zero sends a reset. */
function abort(fd: number): void {
  trySetOption(fd, LEVEL.SOCKET, SO.LINGER, Buffer.concat([intBytes(1), intBytes(0)]));
  closeFd(fd);
}

function openLoopback(family: number, opening: FileOpening): Loopback | undefined {
  return inNetworkOf(opening.root.process.pid, () => {
    const first = family === AF.INET6 ? listenOn(AF.INET6, LOOPBACK_V6) : undefined;
    const made = first ?? listenOn(AF.INET, [LOOPBACK_V4]);
    if (made) opening.whenPlaced(() => closeFd(made.listener));
    return made;
  });
}

function listenOn(family: number, words: readonly number[]): Loopback | undefined {
  const listener = syscall(SYS.socket, family, SOCK.STREAM | SOCK.CLOEXEC, 0);
  if (listener < 0) return undefined;
  if (tryAddress('bind', listener, addressBytes(family, { port: 0, words, scope: 0 })) < 0) {
    closeFd(listener);
    return undefined;
  }
  listenSocket(listener, BACKLOG);
  const port = parseAddress(localAddress(listener))?.port ?? 0;
  const at = (to: number, where: readonly number[]) =>
    addressBytes(to, { port, words: where, scope: 0 });
  if (family === AF.INET6) return { listener, v4: undefined, v6: at(AF.INET6, words) };
  return { listener, v4: at(AF.INET, words), v6: at(AF.INET6, MAPPED_LOOPBACK) };
}
