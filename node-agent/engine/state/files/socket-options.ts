// Options that every socket has; socket(7). Read and set through the engine's own descriptor, with the engine's rights.
import type { SkOptsEntry } from '../../image/messages/sockets.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import type { SocketFacts, SocketOption } from '../../linux/socket-facts.ts';
import {
  AF,
  intBytes,
  intOption,
  LEVEL,
  makeSocket,
  SO,
  socketFilter,
  tryAttachFilter,
  trySetOption,
} from '../../linux/sockets.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';
import { readExtras } from './socket-extras.ts';

/** An option that the kernel refuses. */
export interface LostOption {
  readonly option: string;
  readonly errno: string;
}

const INSTRUCTION_BYTES = 8;
/** struct timeval */
const TIMEVAL_BYTES = 16;

/** Reads the options of a socket of the application. */
export function readOptions(file: OpenFile, dump: FileDump): SkOptsEntry {
  const { socket } = file;
  const int = (name: SocketOption): number => socket.integer(name);
  const flag = (name: SocketOption): boolean => int(name) !== 0;
  const send = timeout(socket, 'SNDTIMEO');
  const receive = timeout(socket, 'RCVTIMEO');
  const linger = socket.bytes('LINGER');
  return {
    soSndbuf: int('SNDBUF'),
    soRcvbuf: int('RCVBUF'),
    soSndTmoSec: send.seconds,
    soSndTmoUsec: send.micros,
    soRcvTmoSec: receive.seconds,
    soRcvTmoUsec: receive.micros,
    reuseaddr: flag('REUSEADDR'),
    soPriority: int('PRIORITY') >>> 0,
    soRcvlowat: int('RCVLOWAT'),
    soMark: int('MARK') >>> 0,
    soPasscred: flag('PASSCRED'),
    soPasssec: flag('PASSSEC'),
    soDontroute: flag('DONTROUTE'),
    soNoCheck: flag('NO_CHECK'),
    soFilter: socket.hasFilter ? readFilter(file) : [],
    soReuseport: flag('REUSEPORT'),
    soBroadcast: flag('BROADCAST'),
    soKeepalive: flag('KEEPALIVE'),
    soOobinline: int('OOBINLINE'),
    soBufLock: int('BUF_LOCK'),
    extra: readExtras(file, dump),
    ...(linger && linger.readInt32LE(0) !== 0 && { soLinger: linger.readInt32LE(4) >>> 0 }),
    ...(socket.domain !== AF.UNIX && boundDevice(socket)),
  };
}

function timeout(
  socket: SocketFacts,
  name: 'SNDTIMEO' | 'RCVTIMEO',
): { seconds: bigint; micros: bigint } {
  const value = socket.bytes(name);
  if (!value || value.length < TIMEVAL_BYTES) return { seconds: 0n, micros: 0n };
  return { seconds: value.readBigUInt64LE(0), micros: value.readBigUInt64LE(8) };
}

function boundDevice(socket: SocketFacts): { soBoundDev?: string } {
  const name = socket.bytes('BINDTODEVICE')?.toString('latin1') ?? '';
  const device = name.replace(/\0.*$/s, '');
  return device === '' ? {} : { soBoundDev: device };
}

function readFilter(file: OpenFile): bigint[] {
  try {
    const filter = socketFilter(file.duplicate);
    if (!filter) return [];
    return Array.from({ length: filter.length / INSTRUCTION_BYTES }, (_, i) =>
      filter.readBigUInt64LE(i * INSTRUCTION_BYTES),
    );
  } catch (error) {
    if (!(error instanceof LinuxError) || error.errno !== 'EACCES') throw error;
    file.refuse('SocketBpf', 'an eBPF program filters this socket and cannot be read back');
    return [];
  }
}

/** One option as it is to be set. */
export interface Setting {
  /** for people */
  readonly option: string;
  readonly level: number;
  readonly name: number;
  readonly value: Uint8Array;
}

/** What a socket has that nobody has set anything of: the rest is 0. */
export interface NewSocket {
  readonly soSndbuf: number;
  readonly soRcvbuf: number;
}

export function newSocket(domain: number, type: number, protocol: number): NewSocket {
  using socket = new OwnedFd(makeSocket(domain, type, protocol));
  const [soSndbuf, soRcvbuf] = [SO.SNDBUF, SO.RCVBUF].map((name) =>
    intOption(socket.fd, LEVEL.SOCKET, name),
  ) as [number, number];
  return { soSndbuf, soRcvbuf };
}

/**
 * Sets the options that can be set before a socket is bound.
 *
 * @returns options that this kernel or namespace refuses
 */
export function writeOptions(fd: number, opts: SkOptsEntry): LostOption[] {
  return writeSettings(fd, settingsOf(opts));
}

export function writeSettings(fd: number, settings: readonly Setting[]): LostOption[] {
  return settings.flatMap(({ option, level, name, value }) => {
    const isFilter = level === LEVEL.SOCKET && name === SO.ATTACH_FILTER;
    const result = isFilter ? tryAttachFilter(fd, value) : trySetOption(fd, level, name, value);
    return result < 0 ? [{ option, errno: new LinuxError('setsockopt', -result).errno }] : [];
  });
}

/**
 * The options that can be set before a socket is bound, in order. Buffers: the kernel doubles what it is told. Pure.
 *
 * @param fresh what need not be set, because the new socket has it; undefined where that is not known
 */
export function settingsOf(opts: SkOptsEntry, fresh?: NewSocket): Setting[] {
  const settings = bufferSettings(opts, fresh);
  const set = (option: keyof typeof SO, value: Uint8Array): void => {
    settings.push({ option, level: LEVEL.SOCKET, name: SO[option], value });
  };
  const int = (option: keyof typeof SO, value: number | boolean | undefined): void => {
    // Every one of them is 0 in a new socket.
    if (value) set(option, intBytes(Number(value)));
  };
  if (opts.soSndTmoSec || opts.soSndTmoUsec) {
    set('SNDTIMEO', timeval(opts.soSndTmoSec, opts.soSndTmoUsec));
  }
  if (opts.soRcvTmoSec || opts.soRcvTmoUsec) {
    set('RCVTIMEO', timeval(opts.soRcvTmoSec, opts.soRcvTmoUsec));
  }
  int('REUSEADDR', opts.reuseaddr);
  int('REUSEPORT', opts.soReuseport);
  int('PRIORITY', opts.soPriority);
  if (opts.soRcvlowat !== 1) int('RCVLOWAT', opts.soRcvlowat);
  int('MARK', opts.soMark);
  int('PASSCRED', opts.soPasscred);
  int('PASSSEC', opts.soPasssec);
  int('DONTROUTE', opts.soDontroute);
  int('NO_CHECK', opts.soNoCheck);
  int('BROADCAST', opts.soBroadcast);
  int('KEEPALIVE', opts.soKeepalive);
  int('OOBINLINE', opts.soOobinline);
  if (opts.soLinger !== undefined) {
    set('LINGER', Buffer.concat([intBytes(1), intBytes(opts.soLinger)]));
  }
  if (opts.soBoundDev) set('BINDTODEVICE', Buffer.from(`${opts.soBoundDev}\0`, 'latin1'));
  for (const { level, name, value } of opts.extra) {
    settings.push({ option: `${level}/${name}`, level, name, value: intBytes(value) });
  }
  if (opts.soFilter.length > 0) {
    set('ATTACH_FILTER', Buffer.from(BigUint64Array.from(opts.soFilter).buffer));
  }
  return settings;
}

function bufferSettings(opts: SkOptsEntry, fresh: NewSocket | undefined): Setting[] {
  const settings: Setting[] = [];
  const set = (option: 'SNDBUFFORCE' | 'RCVBUFFORCE' | 'BUF_LOCK', value: number): void => {
    settings.push({ option, level: LEVEL.SOCKET, name: SO[option], value: intBytes(value) });
  };
  const halves = [opts.soSndbuf >>> 1, opts.soRcvbuf >>> 1] as const;
  if (opts.soSndbuf !== fresh?.soSndbuf && halves[0]) set('SNDBUFFORCE', halves[0]);
  if (opts.soRcvbuf !== fresh?.soRcvbuf && halves[1]) set('RCVBUFFORCE', halves[1]);
  // A size that was set is one that the program has set, unless it is told otherwise.
  const { soBufLock = 0 } = opts;
  const differs = settings.length > 0 ? opts.soBufLock !== undefined : soBufLock !== 0;
  if (differs) set('BUF_LOCK', soBufLock);
  return settings;
}

function timeval(seconds: bigint, micros: bigint): Buffer {
  const value = Buffer.alloc(TIMEVAL_BYTES);
  value.writeBigUInt64LE(seconds, 0);
  value.writeBigUInt64LE(micros, 8);
  return value;
}
