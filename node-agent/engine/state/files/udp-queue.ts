// Datagrams that were received and not read yet: looked at, and sent again by a raw socket under the address of their sender.
import { IMAGES } from '../../image/image-files.ts';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import { POLL, pollNow } from '../../linux/readiness.ts';
import { getOption, LEVEL, type Message, peekMessage, setOption, SO } from '../../linux/sockets.ts';
import type { FileDump } from './file-dump.ts';
import type { FileOpening } from './file-opening.ts';
import { type InetAddress, isAnyAddress, isMapped, parseAddress } from './inet-address.ts';
import type { OpenFile } from './open-file.ts';
import { bytesOf, checksum, ipPacket, pseudoHeader, sendRaw } from './tcp-segment.ts';

const FAMILY_BYTES = 2;
const UDP_BYTES = 8;
const IPPROTO_UDPLITE = 136;
const MAX_DATAGRAMS = 100_000;
const LOOPBACK: readonly number[] = [0x0100007f];
const LOOPBACK_V6: readonly number[] = [0, 0, 0, 0x01000000];

/** Copies the receive queue; it is written after the thaw. */
export function saveDatagrams(file: OpenFile, dump: FileDump): void {
  const events = pollNow(file.duplicate, POLL.IN);
  if (!(events & POLL.IN)) return;
  if (events & POLL.ERR) {
    // A look would take the error away from the application.
    file.report(
      'loss',
      'UdpQueue',
      'it has an error to tell first: the datagrams behind it are not restored',
    );
    return;
  }
  const messages = peekAll(file.duplicate);
  dump.afterThaw((images) => {
    for (const { bytes, from } of messages) {
      const sender = from.subarray(FAMILY_BYTES);
      const entry = { idFor: file.id, length: bytes.length, scm: [], from: sender };
      images.append(IMAGES.skQueues, entry, bytes);
    }
  });
}

/** SO_PEEK_OFF makes each look begin where the last one ended. */
function peekAll(fd: number): Message[] {
  const before = getOption(fd, LEVEL.SOCKET, SO.PEEK_OFF)?.readInt32LE(0) ?? -1;
  setOption(fd, LEVEL.SOCKET, SO.PEEK_OFF, 0);
  try {
    const messages: Message[] = [];
    for (let next = peekMessage(fd); next; next = peekMessage(fd)) {
      messages.push(next);
      if (messages.length > MAX_DATAGRAMS) throw new Error(`more than ${MAX_DATAGRAMS} datagrams`);
    }
    return messages;
  } finally {
    setOption(fd, LEVEL.SOCKET, SO.PEEK_OFF, before);
  }
}

/** Once the socket has its address. Nothing leaves the network namespace. */
export function refillDatagrams(entry: InetSkEntry, opening: FileOpening): void {
  const queue = opening.saved.queueOf(entry.id);
  if (queue.length === 0) return;
  const builder = opening.ownerOf(entry.id);
  inNetworkOf(builder.process.pid, () => {
    for (const { entry: packet, bytes } of queue) {
      const from = senderOf(entry.family, packet.from ?? Buffer.alloc(0));
      if (from) sendFrom(from, entry, Buffer.from(bytes));
    }
  });
}

function senderOf(family: number, rest: Uint8Array): InetAddress | undefined {
  const head = Buffer.alloc(FAMILY_BYTES);
  head.writeUInt16LE(family, 0);
  return parseAddress(Buffer.concat([head, rest]));
}

function sendFrom(
  from: InetAddress,
  { srcAddr, srcPort, proto }: InetSkEntry,
  bytes: Buffer,
): void {
  const plain = (words: readonly number[]): readonly number[] =>
    isMapped(words) ? words.slice(3) : words;
  const sender = plain(from.words);
  const loopback = sender.length === 1 ? LOOPBACK : LOOPBACK_V6;
  const to = isAnyAddress(srcAddr) ? loopback : plain(srcAddr);
  const length = UDP_BYTES + bytes.length;
  const header = Buffer.alloc(UDP_BYTES);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(srcPort, 2);
  // UDP-Lite has how much the checksum covers in this place: 0 for all.
  header.writeUInt16BE(proto === IPPROTO_UDPLITE ? 0 : length, 4);
  const [source, target] = [bytesOf(sender), bytesOf(to)];
  const covered = Buffer.concat([pseudoHeader(source, target, proto, length), header, bytes]);
  header.writeUInt16BE(checksum(covered) || 0xffff, 6);
  sendRaw(to, ipPacket(source, target, proto, Buffer.concat([header, bytes])));
}
