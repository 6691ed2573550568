// Addresses of TCP and UDP sockets: the kernel's sockaddr on one side, CRIU's words on the other.
import { isIPv4, isIPv6 } from 'node:net';
import { AF } from '../../linux/sockets.ts';

export interface InetAddress {
  readonly port: number;
  /** 1 word for IPv4, 4 for IPv6; the bytes in network order, read as the machine reads them */
  readonly words: readonly number[];
  /** interface of a link-local IPv6 address, 0 for all others */
  readonly scope: number;
}

const IPV4_BYTES = 16;
const IPV6_BYTES = 28;

/** From `struct sockaddr_in` or `sockaddr_in6`; undefined for anything else. */
export function parseAddress(sockaddr: Buffer | undefined): InetAddress | undefined {
  if (!sockaddr || sockaddr.length < 8) return undefined;
  const family = sockaddr.readUInt16LE(0);
  const port = sockaddr.readUInt16BE(2);
  if (family === AF.INET) return { port, words: [sockaddr.readUInt32LE(4)], scope: 0 };
  if (family !== AF.INET6 || sockaddr.length < IPV6_BYTES) return undefined;
  const words = [8, 12, 16, 20].map((at) => sockaddr.readUInt32LE(at));
  return { port, words, scope: sockaddr.readUInt32LE(24) };
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
export function addressBytes(family: number, { port, words, scope }: InetAddress): Buffer {
  const bytes = Buffer.alloc(family === AF.INET6 ? IPV6_BYTES : IPV4_BYTES);
  bytes.writeUInt16LE(family, 0);
  bytes.writeUInt16BE(port, 2);
  words.forEach((word, i) => {
    bytes.writeUInt32LE(word, (family === AF.INET6 ? 8 : 4) + i * 4);
  });
  if (family === AF.INET6) bytes.writeUInt32LE(scope, 24);
  return bytes;
}

/** An IPv4 address in an IPv6 socket, ::ffff:a.b.c.d. */
export const isMapped = (words: readonly number[]): boolean =>
  words.length === 4 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff0000;

export const isAnyAddress = (words: readonly number[]): boolean => words.every((w) => w === 0);

/** Words of an address as text; IPv6 in any form but with an IPv4 tail. */
export function parseText(text: string): readonly number[] | undefined {
  const bytes = isIPv4(text) ? text.split('.').map(Number) : bytesOfIPv6(text);
  if (!bytes) return undefined;
  const buffer = Buffer.from(bytes);
  return Array.from({ length: buffer.length / 4 }, (_, i) => buffer.readUInt32LE(i * 4));
}

function bytesOfIPv6(text: string): number[] | undefined {
  if (!isIPv6(text) || text.includes('.')) return undefined;
  const groups = (part: string | undefined): number[] =>
    (part ?? '')
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16));
  const [head, tail] = text.split('%', 1)[0]!.split('::');
  const [first, last] = [groups(head), groups(tail)];
  const middle = Array.from({ length: 8 - first.length - last.length }, () => 0);
  return [...first, ...middle, ...last].flatMap((group) => [group >> 8, group & 255]);
}

/** `10.0.0.1` or `fd00:0:...`, for people. */
export function addressText(words: readonly number[]): string {
  const bytes = words.flatMap((w) => [w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24]);
  if (words.length === 1) return bytes.join('.');
  const pairs = Array.from({ length: 8 }, (_, i) => (bytes[i * 2]! << 8) | bytes[i * 2 + 1]!);
  return pairs.map((pair) => pair.toString(16)).join(':');
}
