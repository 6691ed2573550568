// Options that every socket has; socket(7). Read and set through the engine's own descriptor, with the engine's rights.
import type { SkOptsEntry } from '../../image/messages/sockets.ts';
import { LinuxError } from '../../linux/error.ts';
import {
  AF,
  getOption,
  intBytes,
  intOption,
  LEVEL,
  SO,
  socketFilter,
  tryAttachFilter,
  trySetOption,
} from '../../linux/sockets.ts';
import type { OpenFile } from './open-file.ts';
import { type LostOption, readExtras, writeExtras } from './socket-extras.ts';

const INSTRUCTION_BYTES = 8;
/** struct timeval, struct linger, IFNAMSIZ */
const TIMEVAL_BYTES = 16;
const LINGER_BYTES = 8;
const DEVICE_BYTES = 16;

/** Reads the options of a socket of the application. */
export function readOptions(file: OpenFile, domain: number): SkOptsEntry {
  const fd = file.duplicate;
  const int = (name: number): number => intOption(fd, LEVEL.SOCKET, name);
  const flag = (name: number): boolean => int(name) !== 0;
  const send = timeout(fd, SO.SNDTIMEO);
  const receive = timeout(fd, SO.RCVTIMEO);
  const linger = getOption(fd, LEVEL.SOCKET, SO.LINGER, LINGER_BYTES);
  return {
    soSndbuf: int(SO.SNDBUF),
    soRcvbuf: int(SO.RCVBUF),
    soSndTmoSec: send.seconds,
    soSndTmoUsec: send.micros,
    soRcvTmoSec: receive.seconds,
    soRcvTmoUsec: receive.micros,
    reuseaddr: flag(SO.REUSEADDR),
    soPriority: int(SO.PRIORITY) >>> 0,
    soRcvlowat: int(SO.RCVLOWAT),
    soMark: int(SO.MARK) >>> 0,
    soPasscred: flag(SO.PASSCRED),
    soPasssec: flag(SO.PASSSEC),
    soDontroute: flag(SO.DONTROUTE),
    soNoCheck: flag(SO.NO_CHECK),
    soFilter: readFilter(file),
    soReuseport: flag(SO.REUSEPORT),
    soBroadcast: flag(SO.BROADCAST),
    soKeepalive: flag(SO.KEEPALIVE),
    soOobinline: int(SO.OOBINLINE),
    soBufLock: int(SO.BUF_LOCK),
    extra: readExtras(fd, domain),
    ...(linger && linger.readInt32LE(0) !== 0 && { soLinger: linger.readInt32LE(4) >>> 0 }),
    ...(domain !== AF.UNIX && boundDevice(fd)),
  };
}

function timeout(fd: number, name: number): { seconds: bigint; micros: bigint } {
  const value = getOption(fd, LEVEL.SOCKET, name, TIMEVAL_BYTES);
  if (!value || value.length < TIMEVAL_BYTES) return { seconds: 0n, micros: 0n };
  return { seconds: value.readBigUInt64LE(0), micros: value.readBigUInt64LE(8) };
}

function boundDevice(fd: number): { soBoundDev?: string } {
  const name = getOption(fd, LEVEL.SOCKET, SO.BINDTODEVICE, DEVICE_BYTES)?.toString('latin1') ?? '';
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

/**
 * Sets the options that can be set before a socket is bound. Buffers: the kernel doubles what it is told.
 *
 * @returns options that this kernel or namespace refuses
 */
export function writeOptions(fd: number, opts: SkOptsEntry): LostOption[] {
  const lost: LostOption[] = [];
  const set = (option: keyof typeof SO, value: Uint8Array): void => {
    const result = trySetOption(fd, LEVEL.SOCKET, SO[option], value);
    if (result < 0) lost.push({ option, errno: new LinuxError('setsockopt', -result).errno });
  };
  const int = (option: keyof typeof SO, value: number | boolean | undefined): void => {
    // Every one of them is 0 in a new socket.
    if (value) set(option, intBytes(Number(value)));
  };
  int('SNDBUFFORCE', opts.soSndbuf >>> 1);
  int('RCVBUFFORCE', opts.soRcvbuf >>> 1);
  if (opts.soBufLock !== undefined) set('BUF_LOCK', intBytes(opts.soBufLock));
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
  lost.push(...writeExtras(fd, opts.extra));
  if (opts.soFilter.length > 0) {
    const result = tryAttachFilter(fd, Buffer.from(BigUint64Array.from(opts.soFilter).buffer));
    if (result < 0) {
      lost.push({ option: 'ATTACH_FILTER', errno: new LinuxError('', -result).errno });
    }
  }
  return lost;
}

function timeval(seconds: bigint, micros: bigint): Buffer {
  const value = Buffer.alloc(TIMEVAL_BYTES);
  value.writeBigUInt64LE(seconds, 0);
  value.writeBigUInt64LE(micros, 8);
  return value;
}
