// All unix sockets of a network namespace: peers, queues, connections that wait; sock_diag(7).
import { SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { OwnedFd } from './descriptors.ts';
import { AF, makeSocket, SOCK } from './sockets.ts';

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_HEADER_BYTES = 16;
const REQUEST_BYTES = 24;
const MESSAGE_BYTES = 16;
/** UDIAG_SHOW_NAME, VFS, PEER, ICONS, RQLEN */
const SHOW = 1 | 2 | 4 | 8 | 16;
const ATTRIBUTE = { NAME: 0, VFS: 1, PEER: 2, ICONS: 3, RQLEN: 4, SHUTDOWN: 6 } as const;
const MAX_ANSWERS = 1_000_000;

const area = allocate(65536);

/** What the kernel tells of one unix socket. */
export interface UnixSocketFacts {
  readonly ino: number;
  readonly type: number;
  /** TCP_* number: 1 ESTABLISHED, 7 CLOSE, 10 LISTEN */
  readonly state: number;
  /** sun_path, with a leading NUL for an abstract name; undefined when unbound */
  readonly name?: Buffer;
  /** the file it is bound to */
  readonly file?: { readonly ino: number; readonly dev: number };
  /** inode of the peer; 0 when it is closed or not accepted yet */
  readonly peer: number;
  /** of a listening socket: inodes of clients that wait to be accepted */
  readonly waiting: readonly number[];
  /** listening: length of the queue; else bytes to be read */
  readonly receiveQueue: number;
  /** listening: backlog; else bytes that the peer has not read */
  readonly sendQueue: number;
  /** SHUT bits: 1 no more reading, 2 no more writing */
  readonly shutdown: number;
}

/** All unix sockets of the caller's network namespace, by inode (CONFIG_UNIX_DIAG). */
export function unixSockets(): Map<number, UnixSocketFacts> {
  using socket = new OwnedFd(makeSocket(AF.NETLINK, SOCK.RAW, NETLINK_SOCK_DIAG));
  sendRequest(socket.fd);
  const found = new Map<number, UnixSocketFacts>();
  for (let answers = 0; answers < MAX_ANSWERS; answers++) {
    const length = check(
      syscall(SYS.recvfrom, socket.fd, area.address, area.length, 0, 0, 0),
      'recvfrom(sock_diag)',
    );
    if (readAnswers(area.bytes.subarray(0, length), found)) return found;
  }
  throw new Error(`more than ${MAX_ANSWERS} answers about unix sockets`);
}

function sendRequest(socket: number): void {
  const bytes = Buffer.alloc(NLMSG_HEADER_BYTES + REQUEST_BYTES);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  bytes.writeUInt8(AF.UNIX, 16);
  bytes.writeUInt32LE(0xffffffff, 20); // every state
  bytes.writeUInt32LE(SHOW, 28);
  bytes.writeBigUInt64LE(0xffffffffffffffffn, 32); // no cookie
  area.bytes.set(bytes);
  check(syscall(SYS.sendto, socket, area.address, bytes.length, 0, 0, 0), 'sendto(sock_diag)');
}

/** @returns true at the end of the list */
function readAnswers(data: Buffer, found: Map<number, UnixSocketFacts>): boolean {
  for (let at = 0; at + NLMSG_HEADER_BYTES <= data.length; ) {
    const length = data.readUInt32LE(at);
    const type = data.readUInt16LE(at + 4);
    if (type === NLMSG_DONE) return true;
    if (type === NLMSG_ERROR) {
      throw new LinuxError('sock_diag', -data.readInt32LE(at + NLMSG_HEADER_BYTES));
    }
    const facts = parseFacts(data.subarray(at + NLMSG_HEADER_BYTES, at + length));
    found.set(facts.ino, facts);
    at += (length + 3) & ~3;
  }
  return false;
}

function parseFacts(message: Buffer): UnixSocketFacts {
  const attributes = new Map<number, Buffer>();
  for (let at = MESSAGE_BYTES; at + 4 <= message.length; ) {
    const length = message.readUInt16LE(at);
    if (length < 4) break;
    attributes.set(
      message.readUInt16LE(at + 2),
      Buffer.from(message.subarray(at + 4, at + length)),
    );
    at += (length + 3) & ~3;
  }
  const name = attributes.get(ATTRIBUTE.NAME);
  const file = attributes.get(ATTRIBUTE.VFS);
  const icons = attributes.get(ATTRIBUTE.ICONS);
  const queues = attributes.get(ATTRIBUTE.RQLEN);
  return {
    type: message.readUInt8(1),
    state: message.readUInt8(2),
    ino: message.readUInt32LE(4),
    ...(name && name.length > 0 && { name }),
    ...(file && { file: { ino: file.readUInt32LE(0), dev: file.readUInt32LE(4) } }),
    peer: attributes.get(ATTRIBUTE.PEER)?.readUInt32LE(0) ?? 0,
    waiting: icons
      ? Array.from({ length: icons.length / 4 }, (_, i) => icons.readUInt32LE(i * 4))
      : [],
    receiveQueue: queues?.readUInt32LE(0) ?? 0,
    sendQueue: queues?.readUInt32LE(4) ?? 0,
    shutdown: attributes.get(ATTRIBUTE.SHUTDOWN)?.readUInt8(0) ?? 0,
  };
}
