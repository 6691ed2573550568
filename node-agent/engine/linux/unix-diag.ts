// All unix sockets of a network namespace: peers, queues, connections that wait; sock_diag(7).
import { attributesOf, listSockets } from './sock-diag.ts';
import { AF } from './sockets.ts';

const REQUEST_BYTES = 24;
const MESSAGE_BYTES = 16;
/** UDIAG_SHOW_NAME, VFS, PEER, ICONS, RQLEN */
const SHOW = 1 | 2 | 4 | 8 | 16;
const ATTRIBUTE = { NAME: 0, VFS: 1, PEER: 2, ICONS: 3, RQLEN: 4, SHUTDOWN: 6 } as const;

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
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt8(AF.UNIX, 0);
  request.writeUInt32LE(0xffffffff, 4); // every state
  request.writeUInt32LE(SHOW, 12);
  request.writeBigUInt64LE(0xffffffffffffffffn, 16); // no cookie
  const found = new Map<number, UnixSocketFacts>();
  listSockets(request, (body) => {
    const facts = parseFacts(body);
    found.set(facts.ino, facts);
  });
  return found;
}

function parseFacts(message: Buffer): UnixSocketFacts {
  const attributes = attributesOf(message, MESSAGE_BYTES);
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
