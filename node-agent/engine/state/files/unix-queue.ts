// What a unix socket has still to read: looked at, never taken, together with the descriptors that travel in it.
import { IMAGES } from '../../image/image-files.ts';
import { ScmType } from '../../image/messages/enums.ts';
import type { SkPacketEntry } from '../../image/messages/sockets.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { POLL, pollNow, readableBytes } from '../../linux/readiness.ts';
import {
  getOption,
  LEVEL,
  type Message,
  peekMessage,
  setOption,
  SO,
  SOCK,
} from '../../linux/sockets.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';

const SUN_PATH = 2;
/** A restore sends each piece in one message, which must fit the send buffer of whoever restores. */
const PIECE_BYTES = 32768;
const MAX_MESSAGES = 100_000;
const NO_OFFSET = -1;

/** Copies the receive queue of a socket; it is written after the thaw. */
export function saveQueue(file: OpenFile, type: number, ended: boolean, dump: FileDump): void {
  const messages = peekQueue(file, type, ended);
  const packets = messages.flatMap((message) => packetsOf(file, type, message, dump));
  dump.afterThaw((images) => {
    for (const { entry, bytes } of packets) images.append(IMAGES.skQueues, entry, bytes);
  });
}

interface Packet {
  readonly entry: SkPacketEntry;
  readonly bytes: Buffer;
}

function packetsOf(file: OpenFile, type: number, message: Message, dump: FileDump): Packet[] {
  const { bytes, fds, from } = message;
  const rights = fds.map((fd) => dump.describe(fd, file.subject));
  const whole = type !== SOCK.STREAM;
  const pieces: Packet[] = [];
  for (let at = 0; at < bytes.length || pieces.length === 0; ) {
    const piece = whole ? bytes : bytes.subarray(at, at + PIECE_BYTES);
    pieces.push({
      bytes: piece,
      entry: {
        idFor: file.id,
        length: piece.length,
        scm: at === 0 && rights.length > 0 ? [{ type: ScmType.RIGHTS, rights }] : [],
        ...(from.length > SUN_PATH && { from: from.subarray(SUN_PATH) }),
      },
    });
    at += piece.length;
    if (piece.length === 0) break;
  }
  return pieces;
}

/**
 * All messages of the queue, oldest first.
 *
 * Descriptors in a stream come with the bytes they were sent with and, in one look, with all bytes before those that
 * brought none: the kernel does not show where they began. They are sent again with the first of these bytes; whoever
 * reads with recvmsg(2) and a buffer larger than the message, as is usual, sees no difference.
 *
 * A stream without descriptors shows all of itself in one look. Otherwise SO_PEEK_OFF makes each look begin where the
 * last one ended; should the engine die in between, later looks (MSG_PEEK) of the application would move on as well.
 */
function peekQueue(file: OpenFile, type: number, ended: boolean): Message[] {
  const fd = file.duplicate;
  if (!(pollNow(fd, POLL.IN) & POLL.IN)) return [];
  if (type === SOCK.STREAM) {
    const bytes = readableBytes(fd);
    if (bytes === 0) return [];
    const all = peekMessage(fd);
    if (all && all.fds.length === 0 && all.bytes.length === bytes) return [all];
    for (const received of all?.fds ?? []) closeFd(received);
  }
  const before = getOption(fd, LEVEL.SOCKET, SO.PEEK_OFF)?.readInt32LE(0) ?? NO_OFFSET;
  setOption(fd, LEVEL.SOCKET, SO.PEEK_OFF, 0);
  try {
    return walkQueue(fd, type, ended);
  } finally {
    setOption(fd, LEVEL.SOCKET, SO.PEEK_OFF, before);
  }
}

function walkQueue(fd: number, type: number, ended: boolean): Message[] {
  const messages: Message[] = [];
  while (messages.length < MAX_MESSAGES) {
    const message = peekMessage(fd);
    if (!message) return messages;
    // The end of a stream, or of a connection whose other side is gone, looks like an empty message.
    const end = message.bytes.length === 0 && message.fds.length === 0;
    if (end && (type === SOCK.STREAM || ended)) return messages;
    messages.push(message);
  }
  throw new Error(`more than ${MAX_MESSAGES} messages in a socket's queue`);
}
