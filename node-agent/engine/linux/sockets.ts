// Sockets of this process: options, addresses, messages with descriptors; socket(7), unix(7), ip(7), tcp(7).
import { SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { rightsBytes } from './descriptors.ts';

export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17, VSOCK: 40 } as const;
export const SOCK = {
  STREAM: 1,
  DGRAM: 2,
  RAW: 3,
  SEQPACKET: 5,
  NONBLOCK: 0x800,
  CLOEXEC: 0x80000,
};
export const LEVEL = { IP: 0, SOCKET: 1, TCP: 6, UDP: 17, IPV6: 41 } as const;

/** Options of LEVEL.SOCKET, include/uapi/asm-generic/socket.h. */
export const SO = {
  REUSEADDR: 2,
  TYPE: 3,
  ERROR: 4,
  DONTROUTE: 5,
  BROADCAST: 6,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  OOBINLINE: 10,
  NO_CHECK: 11,
  PRIORITY: 12,
  LINGER: 13,
  REUSEPORT: 15,
  PASSCRED: 16,
  RCVLOWAT: 18,
  RCVTIMEO: 20,
  SNDTIMEO: 21,
  BINDTODEVICE: 25,
  ATTACH_FILTER: 26,
  TIMESTAMP: 29,
  ACCEPTCONN: 30,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  PASSSEC: 34,
  TIMESTAMPNS: 35,
  MARK: 36,
  PROTOCOL: 38,
  DOMAIN: 39,
  RXQ_OVFL: 40,
  PEEK_OFF: 42,
  BUSY_POLL: 46,
  COOKIE: 57,
  ZEROCOPY: 60,
  BUF_LOCK: 72,
  PASSPIDFD: 76,
} as const;

export const MSG = {
  PEEK: 2,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  NOSIGNAL: 0x4000,
  CMSG_CLOEXEC: 0x40000000,
} as const;

export const SHUT = { RD: 0, WR: 1, RDWR: 2 } as const;

const SIOCUNIXFILE = 0x89e0;
const ADDRESS_BYTES = 128;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** SCM_MAX_FD descriptors and credentials */
const CONTROL_BYTES = 2048;

const scratch = allocate(16384);
/** largest message: a socket with a raised SO_SNDBUF may hold more, which is then read in a second try */
let payload = allocate(1 << 20);

/** getsockopt(2); undefined where the socket has no such option. */
export function getOption(
  fd: number,
  level: number,
  name: number,
  maxBytes = 4,
): Buffer | undefined {
  scratch.view.setUint32(0, maxBytes, true);
  const args = [fd, level, name, scratch.address + 64n, scratch.address] as const;
  if (syscall(SYS.getsockopt, ...args) < 0) return undefined;
  const length = scratch.view.getUint32(0, true);
  return Buffer.from(scratch.bytes.subarray(64, 64 + length));
}

/** An integer option, 0 where the socket has none of that name. */
export function intOption(fd: number, level: number, name: number): number {
  const value = getOption(fd, level, name);
  return value && value.length >= 4 ? value.readInt32LE(0) : 0;
}

/**
 * Classic packet filter of a socket, 8 bytes an instruction; undefined when it has none.
 *
 * @throws LinuxError EACCES for an eBPF program, which cannot be read
 */
export function socketFilter(fd: number): Buffer | undefined {
  const MAX_INSTRUCTIONS = 1024;
  scratch.view.setUint32(0, MAX_INSTRUCTIONS, true);
  const at = scratch.address + 64n;
  const args = [fd, LEVEL.SOCKET, SO.ATTACH_FILTER, at, scratch.address] as const;
  // Here the length counts instructions, not bytes.
  check(syscall(SYS.getsockopt, ...args), 'getsockopt(SO_GET_FILTER)', { object: `fd ${fd}` });
  const count = scratch.view.getUint32(0, true);
  return count === 0 ? undefined : Buffer.from(scratch.bytes.subarray(64, 64 + count * 8));
}

/** Attaches a classic packet filter. @returns 0 or -errno */
export function tryAttachFilter(fd: number, filter: Uint8Array): number {
  scratch.bytes.set(filter, 64);
  const program = Buffer.alloc(16);
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(scratch.address + 64n, 8);
  scratch.bytes.set(program, 0);
  const args = [fd, LEVEL.SOCKET, SO.ATTACH_FILTER, scratch.address, program.length] as const;
  return syscall(SYS.setsockopt, ...args);
}

/** setsockopt(2). @returns 0 or -errno */
export function trySetOption(fd: number, level: number, name: number, value: Uint8Array): number {
  scratch.bytes.set(value, 64);
  return syscall(SYS.setsockopt, fd, level, name, scratch.address + 64n, value.length);
}

export function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0, 0);
  return bytes;
}

/** setsockopt(2) of an integer. @throws LinuxError */
export function setOption(fd: number, level: number, name: number, value: number): void {
  check(trySetOption(fd, level, name, intBytes(value)), 'setsockopt', {
    object: `option ${level}/${name}`,
  });
}

function address(nr: number, fd: number): Buffer | undefined {
  scratch.view.setUint32(0, ADDRESS_BYTES, true);
  if (syscall(nr, fd, scratch.address + 64n, scratch.address) < 0) return undefined;
  const length = Math.min(ADDRESS_BYTES, scratch.view.getUint32(0, true));
  return Buffer.from(scratch.bytes.subarray(64, 64 + length));
}

/** struct sockaddr that the socket is bound to. */
export const localAddress = (fd: number): Buffer | undefined => address(SYS.getsockname, fd);
/** struct sockaddr of the peer; undefined when there is none. */
export const peerAddress = (fd: number): Buffer | undefined => address(SYS.getpeername, fd);

export function makeSocket(domain: number, type: number, protocol: number): number {
  return check(syscall(SYS.socket, domain, type | SOCK.CLOEXEC, protocol), 'socket');
}

/** bind(2) or connect(2). @returns 0 or -errno */
export function tryAddress(call: 'bind' | 'connect', fd: number, sockaddr: Uint8Array): number {
  scratch.bytes.set(sockaddr, 64);
  return syscall(SYS[call], fd, scratch.address + 64n, sockaddr.length);
}

export function bindSocket(fd: number, sockaddr: Uint8Array): void {
  check(tryAddress('bind', fd, sockaddr), 'bind', { object: `fd ${fd}` });
}

export function connectSocket(fd: number, sockaddr: Uint8Array): void {
  check(tryAddress('connect', fd, sockaddr), 'connect', { object: `fd ${fd}` });
}

export function listenSocket(fd: number, backlog: number): void {
  check(syscall(SYS.listen, fd, backlog), 'listen', { object: `fd ${fd}` });
}

/** accept4(2) of a connection that is there already. */
export function acceptSocket(fd: number): number {
  return check(syscall(SYS.accept4, fd, 0, 0, SOCK.CLOEXEC), 'accept4', { object: `fd ${fd}` });
}

export function shutdownSocket(fd: number, how: number): void {
  check(syscall(SYS.shutdown, fd, how), 'shutdown', { object: `fd ${fd}` });
}

/** The file that a unix socket is bound to, as an O_PATH descriptor (Linux 4.12); undefined when it has none. */
export function unixSocketFile(fd: number): number | undefined {
  const file = syscall(SYS.ioctl, fd, SIOCUNIXFILE, 0);
  return file < 0 ? undefined : file;
}

export interface Message {
  readonly bytes: Buffer;
  /** descriptors that came along, now this process's own */
  readonly fds: readonly number[];
  /** struct sockaddr of the sender, empty when it has none */
  readonly from: Buffer;
}

/** Layout of what recvmsg and sendmsg share in `scratch`: msghdr, iovec, name, control. */
const IOVEC = 64;
const NAME = 128;
const CONTROL = 512;

function header(bytes: number, controlBytes: number, nameBytes: number): void {
  const { words, address: base } = scratch;
  words[0] = nameBytes > 0 ? base + BigInt(NAME) : 0n;
  words[1] = BigInt(nameBytes);
  words[2] = base + BigInt(IOVEC);
  words[3] = 1n;
  words[4] = controlBytes > 0 ? base + BigInt(CONTROL) : 0n;
  words[5] = BigInt(controlBytes);
  words[6] = 0n;
  words[IOVEC / 8] = payload.address;
  words[IOVEC / 8 + 1] = BigInt(bytes);
}

/**
 * Looks at a queued message without taking it. Descriptors in it are duplicated into this process.
 *
 * @returns undefined when nothing is there
 */
export function peekMessage(fd: number): Message | undefined {
  for (;;) {
    header(payload.length, CONTROL_BYTES, ADDRESS_BYTES);
    const flags = MSG.PEEK | MSG.TRUNC | MSG.DONTWAIT | MSG.CMSG_CLOEXEC;
    const length = syscall(SYS.recvmsg, fd, scratch.address, flags);
    if (length < 0) {
      const error = new LinuxError('recvmsg(MSG_PEEK)', -length, { object: `fd ${fd}` });
      if (error.errno === 'EAGAIN' || error.errno === 'ENOTCONN') return undefined;
      throw error;
    }
    if (length > payload.length) {
      payload = allocate(length);
      continue;
    }
    const nameBytes = Math.min(ADDRESS_BYTES, scratch.view.getUint32(8, true));
    return {
      bytes: Buffer.from(payload.bytes.subarray(0, length)),
      fds: receivedFds(Number(scratch.words[5])),
      from: Buffer.from(scratch.bytes.subarray(NAME, NAME + nameBytes)),
    };
  }
}

function receivedFds(controlBytes: number): number[] {
  const fds: number[] = [];
  for (let at = 0; at + 16 <= controlBytes; ) {
    const length = Number(scratch.view.getBigUint64(CONTROL + at, true));
    if (length < 16) break;
    const level = scratch.view.getInt32(CONTROL + at + 8, true);
    const type = scratch.view.getInt32(CONTROL + at + 12, true);
    if (level === SOL_SOCKET && type === SCM_RIGHTS) {
      for (let k = 16; k + 4 <= length; k += 4) {
        fds.push(scratch.view.getInt32(CONTROL + at + k, true));
      }
    }
    at += (length + 7) & ~7;
  }
  return fds;
}

/** sendto(2). @returns bytes or -errno */
export function trySendTo(fd: number, bytes: Uint8Array, sockaddr: Uint8Array): number {
  scratch.bytes.set(sockaddr, 64);
  if (bytes.length > payload.length) payload = allocate(bytes.length);
  payload.bytes.set(bytes);
  const to = [scratch.address + 64n, sockaddr.length] as const;
  return syscall(SYS.sendto, fd, payload.address, bytes.length, MSG.NOSIGNAL, ...to);
}

/** Sends one message without waiting. @throws LinuxError, EAGAIN when there is no room */
export function sendMessage(fd: number, bytes: Uint8Array, fds: readonly number[] = []): void {
  if (bytes.length > payload.length) payload = allocate(bytes.length);
  payload.bytes.set(bytes);
  header(bytes.length, fds.length > 0 ? rightsBytes(fds.length) : 0, 0);
  if (fds.length > 0) {
    scratch.view.setBigUint64(CONTROL, BigInt(16 + fds.length * 4), true);
    scratch.view.setInt32(CONTROL + 8, SOL_SOCKET, true);
    scratch.view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
    fds.forEach((sent, i) => {
      scratch.view.setInt32(CONTROL + 16 + i * 4, sent, true);
    });
  }
  const sent = syscall(SYS.sendmsg, fd, scratch.address, MSG.DONTWAIT | MSG.NOSIGNAL);
  if (check(sent, 'sendmsg', { object: `fd ${fd}` }) !== bytes.length) {
    throw new LinuxError('sendmsg', 11, { object: `fd ${fd}: ${sent} of ${bytes.length} bytes` });
  }
}
