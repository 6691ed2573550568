// A TCP connection's inner state: queues with their sequence numbers, options, windows; TCP_REPAIR of tcp(7). Needs
// CAP_NET_ADMIN. While a socket is in repair its application can do nothing with it: read and leave at once.
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { allocate, release, syscall } from './ffi.ts';
import { getOption, intBytes, intOption, LEVEL, MSG, trySetOption } from './sockets.ts';

const TCP = {
  MAXSEG: 2,
  INFO: 11,
  REPAIR: 19,
  REPAIR_QUEUE: 20,
  QUEUE_SEQ: 21,
  REPAIR_OPTIONS: 22,
  TIMESTAMP: 24,
  REPAIR_WINDOW: 29,
} as const;
/** Options as TCP_REPAIR_OPTIONS numbers them (TCPOPT_*), and as tcp_info tells them (TCPI_OPT_*). */
const OPTION = { MSS: 2, WINDOW: 3, SACK_PERMITTED: 4, TIMESTAMP: 8 } as const;
export const NEGOTIATED = { TIMESTAMPS: 1, SACK: 2, WSCALE: 4 } as const;
const SIOCOUTQ = 0x5411;
const SIOCOUTQNSD = 0x894b;
const WINDOW_BYTES = 20;

export const QUEUE = { NONE: 0, RECEIVE: 1, SEND: 2 } as const;
type Queue = (typeof QUEUE)[keyof typeof QUEUE];

const scratch = allocate(4096);

function set(fd: number, name: keyof typeof TCP, value: Uint8Array): void {
  check(trySetOption(fd, LEVEL.TCP, TCP[name], value), `setsockopt(TCP_${name})`, {
    object: `fd ${fd}`,
  });
}

/** Leaving sends a window probe, and forgets SO_REUSEADDR. */
export const setRepair = (fd: number, on: boolean): void => set(fd, 'REPAIR', intBytes(Number(on)));
export const selectQueue = (fd: number, queue: Queue): void =>
  set(fd, 'REPAIR_QUEUE', intBytes(queue));
/** Of the selected queue: the number behind its last byte, as a word. */
export const queueSequence = (fd: number): number => intOption(fd, LEVEL.TCP, TCP.QUEUE_SEQ) >>> 0;
export const setQueueSequence = (fd: number, sequence: number): void =>
  set(fd, 'QUEUE_SEQ', intBytes(sequence | 0));
export const timestamp = (fd: number): number => intOption(fd, LEVEL.TCP, TCP.TIMESTAMP) >>> 0;
export const setTimestamp = (fd: number, value: number): void =>
  set(fd, 'TIMESTAMP', intBytes(value | 0));

function outQueue(fd: number, request: number): number {
  check(syscall(SYS.ioctl, fd, request, scratch.address), 'ioctl(SIOCOUTQ)');
  return scratch.view.getInt32(0, true);
}
/** Bytes that the other side has not acknowledged, and those of them that were never sent; a FIN counts as one. */
export const unacknowledged = (fd: number): number => outQueue(fd, SIOCOUTQ);
export const unsent = (fd: number): number => outQueue(fd, SIOCOUTQNSD);

/** A queue does not hold what it held a moment ago. */
export class QueueChangedError extends Error {
  override readonly name = 'QueueChangedError';
}

/** The selected queue's content, looked at. @throws QueueChangedError when it holds less */
export function peekQueue(fd: number, bytes: number): Buffer {
  if (bytes === 0) return Buffer.alloc(0);
  const memory = allocate(bytes);
  try {
    const flags = MSG.PEEK | MSG.DONTWAIT;
    const got = syscall(SYS.recvfrom, fd, memory.address, bytes, flags, 0, 0);
    if (check(got, 'recv(MSG_PEEK)', { object: `fd ${fd}` }) !== bytes) {
      throw new QueueChangedError(`a TCP queue shows ${got} of ${bytes} bytes`);
    }
    return Buffer.from(memory.bytes.subarray(0, bytes));
  } finally {
    release(memory);
  }
}

const PIECE_BYTES = 32768;

/** Puts content into the selected queue; out of repair it is sent. @throws LinuxError when there is no room */
export function fillQueue(fd: number, content: Uint8Array): void {
  const memory = allocate(PIECE_BYTES);
  try {
    for (let done = 0; done < content.length; ) {
      const piece = content.subarray(done, done + PIECE_BYTES);
      memory.bytes.set(piece);
      const flags = MSG.DONTWAIT | MSG.NOSIGNAL;
      const sent = syscall(SYS.sendto, fd, memory.address, piece.length, flags, 0, 0);
      done += check(sent, 'send', { object: `fd ${fd}, byte ${done} of a TCP queue` });
    }
  } finally {
    release(memory);
  }
}

/** TCP_* number of a connection's state; outside of repair, too. */
export function connectionState(fd: number): number {
  return getOption(fd, LEVEL.TCP, TCP.INFO, 1)?.readUInt8(0) ?? 0;
}

/** What both sides agreed on when the connection began. */
export interface Negotiated {
  /** NEGOTIATED bits */
  readonly optMask: number;
  readonly sndWscale: number;
  readonly rcvWscale: number;
  readonly mssClamp: number;
}

/** In repair TCP_MAXSEG is what the other side offered. */
export function readNegotiated(fd: number): Negotiated {
  const info = getOption(fd, LEVEL.TCP, TCP.INFO, 8);
  const scales = info?.readUInt8(6) ?? 0;
  return {
    optMask: info?.readUInt8(5) ?? 0,
    sndWscale: scales & 15,
    rcvWscale: scales >> 4,
    mssClamp: intOption(fd, LEVEL.TCP, TCP.MAXSEG),
  };
}

export function writeNegotiated(fd: number, negotiated: Negotiated): void {
  const { optMask, sndWscale, rcvWscale, mssClamp } = negotiated;
  const options: [number, number][] = [[OPTION.MSS, mssClamp]];
  if (optMask & NEGOTIATED.WSCALE) options.push([OPTION.WINDOW, sndWscale | (rcvWscale << 16)]);
  if (optMask & NEGOTIATED.SACK) options.push([OPTION.SACK_PERMITTED, 0]);
  if (optMask & NEGOTIATED.TIMESTAMPS) options.push([OPTION.TIMESTAMP, 0]);
  set(fd, 'REPAIR_OPTIONS', Buffer.from(Uint32Array.from(options.flat()).buffer));
}

/** `struct tcp_repair_window`. */
export interface Windows {
  readonly sndWl1: number;
  readonly sndWnd: number;
  readonly maxWindow: number;
  readonly rcvWnd: number;
  readonly rcvWup: number;
}

/** Undefined before Linux 4.8. */
export function readWindows(fd: number): Windows | undefined {
  const bytes = getOption(fd, LEVEL.TCP, TCP.REPAIR_WINDOW, WINDOW_BYTES);
  if (!bytes || bytes.length < WINDOW_BYTES) return undefined;
  const [sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup] = [0, 4, 8, 12, 16].map((at) =>
    bytes.readUInt32LE(at),
  ) as [number, number, number, number, number];
  return { sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup };
}

export function writeWindows(fd: number, windows: Windows): void {
  const { sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup } = windows;
  const words = Uint32Array.from([sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup]);
  set(fd, 'REPAIR_WINDOW', Buffer.from(words.buffer));
}
