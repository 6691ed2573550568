// Puts back what a unix socket had still to read, with the descriptors that travelled in it.
import type { SkOptsEntry, UnixSkEntry } from '../../image/messages/sockets.ts';
import { intBytes, LEVEL, sendMessage, SO, trySetOption } from '../../linux/sockets.ts';
import type { FileOpening } from './file-opening.ts';

/** More than any queue holds; the sender's own size is put back afterwards. */
const ROOM_BYTES = 64 << 20;

/**
 * Sends everything again.
 *
 * @param sender who is connected to the socket, and its own options if it is a socket of the application
 * @param fdOf engine's descriptor of a file that travels along
 */
export function fillQueue(
  entry: UnixSkEntry,
  sender: { readonly fd: number; readonly opts: SkOptsEntry | undefined },
  opening: FileOpening,
  fdOf: (id: number) => number,
): void {
  const queue = opening.saved.queueOf(entry.id);
  if (queue.length === 0) return;
  const { fd, opts } = sender;
  trySetOption(fd, LEVEL.SOCKET, SO.SNDBUFFORCE, intBytes(ROOM_BYTES));
  for (const { entry: packet, bytes } of queue) {
    const fds = packet.scm.flatMap((scm) => scm.rights.map(fdOf));
    sendMessage(fd, bytes, fds);
  }
  if (!opts) return;
  trySetOption(fd, LEVEL.SOCKET, SO.SNDBUFFORCE, intBytes(opts.soSndbuf >>> 1));
  if (opts.soBufLock !== undefined) {
    trySetOption(fd, LEVEL.SOCKET, SO.BUF_LOCK, intBytes(opts.soBufLock));
  }
}
