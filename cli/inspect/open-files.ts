// Open files of images as a type and a few words (pure).
import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import { FdType } from '../../node-agent/engine/image/messages/enums.ts';
import type { FileEntry } from '../../node-agent/engine/image/messages/files.ts';
import type { InetSkEntry, UnixSkEntry } from '../../node-agent/engine/image/messages/sockets.ts';

export interface OpenFileWords {
  readonly type: string;
  readonly object: string;
}

const TYPE_NAMES = new Map<number, string>(
  Object.entries(FdType).map(([name, number]) => [number, name.toLowerCase()]),
);
const ACCESS = ['r', 'w', 'rw', ''];
/** socket(2) */
const SOCK_TYPES: Readonly<Record<number, string>> = {
  1: 'stream',
  2: 'dgram',
  3: 'raw',
  5: 'seqpacket',
};
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  136: 'udplite',
};
/** The TCP_* states of the kernel, include/net/tcp_states.h */
const TCP_STATES = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
];

/** @param nameOf path of another open file, for those that stand on one */
export function openFileWords(
  entry: FileEntry,
  nameOf: (id: number) => string | undefined,
): OpenFileWords {
  const kernelType = TYPE_NAMES.get(entry.type) ?? `type ${entry.type}`;
  const { reg, pipe, fifo, isk, usk, efd, epfd } = entry;
  if (reg !== undefined) {
    return { type: 'file', object: `${printable(reg.name)} ${access(reg.flags)} at ${reg.pos}` };
  }
  if (pipe !== undefined) {
    return { type: 'pipe', object: `[${pipe.pipeId}] ${access(pipe.flags)}${stdio(pipe.stdio)}` };
  }
  if (fifo !== undefined) {
    return { type: 'fifo', object: nameOf(fifo.regfId ?? 0) ?? `[${fifo.pipeId}]` };
  }
  if (isk !== undefined) {
    return inetSocket(isk);
  }
  if (usk !== undefined) {
    return unixSocket(usk);
  }
  if (efd !== undefined) {
    return { type: 'eventfd', object: `counter ${efd.counter}` };
  }
  if (epfd !== undefined) {
    return {
      type: 'epoll',
      object: `watches ${epfd.tfd.map(({ tfd }) => tfd).join(' ') || 'nothing'}`,
    };
  }
  return { type: kernelType, object: rarerObject(entry) };
}

function rarerObject({ tfd, sgfd, ify, memfd, pidfd, tty, nlsk }: FileEntry): string {
  if (tfd !== undefined) {
    return `clock ${tfd.clockid}, ${tfd.ticks} ticks`;
  }
  if (sgfd !== undefined) {
    return `signals 0x${sgfd.sigmask.toString(16)}`;
  }
  if (ify !== undefined) {
    return `${ify.wd.length} watches`;
  }
  if (memfd !== undefined) {
    return `memfd ${memfd.inodeId} at ${memfd.pos}`;
  }
  if (pidfd !== undefined) {
    return `process ${pidfd.nspid}`;
  }
  if (tty !== undefined) {
    return `terminal ${tty.ttyInfoId}`;
  }
  return nlsk === undefined ? '' : `protocol ${nlsk.protocol}`;
}

function inetSocket(socket: InetSkEntry): OpenFileWords {
  const type = PROTOCOLS[socket.proto] ?? `inet ${socket.proto}`;
  const peer = socket.dstPort === 0 ? '' : ` -> ${address(socket.dstAddr, socket.dstPort)}`;
  const state = socket.proto === 6 ? ` ${TCP_STATES[socket.state] ?? socket.state}` : '';
  return { type, object: `${address(socket.srcAddr, socket.srcPort)}${peer}${state}` };
}

function unixSocket({ type, name, ino, peer, state }: UnixSkEntry): OpenFileWords {
  const path = Buffer.from(name).toString('utf8').replace(/^\0/, '@').replace(/\0+$/, '');
  const end = peer === 0 ? '' : ` <-> [${peer}]`;
  const listens = state === 10 ? ' LISTEN' : '';
  const label = path === '' ? `[${ino}]` : printable(path);
  return { type: 'unix', object: `${label} ${SOCK_TYPES[type] ?? type}${end}${listens}` };
}

/** `10.0.0.1:80`, `[::1]:80`. Words are in network order, as numbers of a little-endian machine. */
function address(words: readonly number[], port: number): string {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) {
    // Images hold the memory of the machine that saved them, and those we know are little-endian as this one.
    if (endianness() === 'LE') {
      bytes.writeUInt32LE(word, index * 4);
    } else {
      bytes.writeUInt32BE(word, index * 4);
    }
  }
  const text = bytes.length === 4 ? [...bytes].join('.') : ipv6(bytes);
  return isIPv4(text) ? `${text}:${port}` : `[${text}]:${port}`;
}

function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: bytes.length / 2 }, (_, index) =>
    bytes.readUInt16BE(index * 2).toString(16),
  );
  // The longest run of zeros is written `::`, by the URL parser's rule (RFC 5952).
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function access(flags: number): string {
  return ACCESS[flags & 3] ?? '';
}

function stdio(mark: number | undefined): string {
  return mark === undefined || mark === 0 ? '' : `, the container's descriptor ${mark - 1}`;
}

/** Names come from the saved application: nothing in them may reach a terminal as a command. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}]/gu,
    (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
