// A segment as the other side of a connection would send it: through a raw socket over loopback, marked so that the lock
// lets it pass. Pure but for the sending.
import { closeFd } from '../../linux/descriptors.ts';
import { SEGMENT_MARK } from '../../linux/connection-lock.ts';
import { check } from '../../linux/error.ts';
import { AF, makeSocket, setOption, LEVEL, SO, SOCK, trySendTo } from '../../linux/sockets.ts';
import { addressBytes, isMapped } from './inet-address.ts';

const IPPROTO_RAW = 255;
const IPPROTO_TCP = 6;
export const FLAG = { FIN: 1, ACK: 16 } as const;
const TCP_BYTES = 20;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const HOPS = 64;

export interface Segment {
  /** words in network order: 1, or 4 for IPv6 */
  readonly from: readonly number[];
  readonly fromPort: number;
  readonly to: readonly number[];
  readonly toPort: number;
  readonly sequence: number;
  readonly acknowledge: number;
  readonly flags: number;
  /** as it stands in the header */
  readonly window: number;
}

/** The bytes of an address. */
export const bytesOf = (words: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, i) => bytes.writeUInt32LE(word, i * 4));
  return bytes;
};

/** The Internet checksum, RFC 1071. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  if (bytes.length % 2 === 1) sum += (bytes.at(-1) ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** What a transport checksum covers besides the transport's own bytes. */
export function pseudoHeader(from: Buffer, to: Buffer, protocol: number, length: number): Buffer {
  const tail = Buffer.alloc(from.length === 4 ? 4 : 8);
  if (from.length === 4) {
    tail.writeUInt8(protocol, 1);
    tail.writeUInt16BE(length, 2);
  } else {
    tail.writeUInt32BE(length, 0);
    tail.writeUInt8(protocol, 7);
  }
  return Buffer.concat([from, to, tail]);
}

function tcpHeader(segment: Segment, from: Buffer, to: Buffer): Buffer {
  const header = Buffer.alloc(TCP_BYTES);
  header.writeUInt16BE(segment.fromPort, 0);
  header.writeUInt16BE(segment.toPort, 2);
  header.writeUInt32BE(segment.sequence >>> 0, 4);
  header.writeUInt32BE(segment.acknowledge >>> 0, 8);
  header.writeUInt8((TCP_BYTES / 4) << 4, 12);
  header.writeUInt8(segment.flags, 13);
  header.writeUInt16BE(segment.window, 14);
  const covered = Buffer.concat([pseudoHeader(from, to, IPPROTO_TCP, TCP_BYTES), header]);
  header.writeUInt16BE(checksum(covered), 16);
  return header;
}

/** Puts an IP header before a payload; the kernel fills in the IPv4 checksum. */
export function ipPacket(from: Buffer, to: Buffer, protocol: number, payload: Buffer): Buffer {
  if (from.length === 4) {
    const header = Buffer.alloc(IPV4_BYTES);
    header.writeUInt8(0x45, 0);
    header.writeUInt16BE(IPV4_BYTES + payload.length, 2);
    header.writeUInt8(HOPS, 8);
    header.writeUInt8(protocol, 9);
    return Buffer.concat([header.subarray(0, 12), from, to, payload]);
  }
  const header = Buffer.alloc(IPV6_BYTES);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(payload.length, 4);
  header.writeUInt8(protocol, 6);
  header.writeUInt8(HOPS, 7);
  return Buffer.concat([header.subarray(0, 8), from, to, payload]);
}

/** Sends a packet with a header of its own to an address of this network namespace. */
export function sendRaw(to: readonly number[], packet: Buffer): void {
  const family = to.length === 1 ? AF.INET : AF.INET6;
  const fd = makeSocket(family, SOCK.RAW, IPPROTO_RAW);
  try {
    setOption(fd, LEVEL.SOCKET, SO.MARK, SEGMENT_MARK);
    const address = addressBytes(family, { port: 0, words: to, scope: 0 });
    check(trySendTo(fd, packet, address), 'sendto(raw)');
  } finally {
    closeFd(fd);
  }
}

/** Sends one segment, in the caller's network namespace. */
export function sendSegment(segment: Segment): void {
  const plain = (words: readonly number[]): readonly number[] =>
    isMapped(words) ? words.slice(3) : words;
  const [from, to] = [bytesOf(plain(segment.from)), bytesOf(plain(segment.to))];
  const packet = ipPacket(from, to, IPPROTO_TCP, tcpHeader(segment, from, to));
  sendRaw(plain(segment.to), packet);
}
