// The kernel's lists of sockets of the caller's network namespace; sock_diag(7).
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd } from './descriptors.ts';
import { check, LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { AF, makeSocket, SOCK } from './sockets.ts';

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_BYTES = 16;
const MAX_ANSWERS = 1_000_000;

const area = allocate(65536);

/**
 * Asks for all sockets of a family.
 *
 * @param request what follows the netlink header, beginning with the family
 * @param take told the body of every answer; it is valid during the call only
 * @throws LinuxError ENOENT when the kernel has no such list (CONFIG_UNIX_DIAG, CONFIG_PACKET_DIAG)
 */
export function listSockets(request: Uint8Array, take: (body: Buffer) => void): void {
  using socket = new OwnedFd(makeSocket(AF.NETLINK, SOCK.RAW, NETLINK_SOCK_DIAG));
  send(socket.fd, request);
  for (let answers = 0; answers < MAX_ANSWERS; answers++) {
    const length = check(
      syscall(SYS.recvfrom, socket.fd, area.address, area.length, 0, 0, 0),
      'recvfrom(sock_diag)',
    );
    if (readAnswers(area.bytes.subarray(0, length), take)) return;
  }
  throw new Error(`more than ${MAX_ANSWERS} answers about sockets`);
}

function send(socket: number, request: Uint8Array): void {
  const bytes = Buffer.alloc(HEADER_BYTES + request.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  bytes.set(request, HEADER_BYTES);
  area.bytes.set(bytes);
  check(syscall(SYS.sendto, socket, area.address, bytes.length, 0, 0, 0), 'sendto(sock_diag)');
}

/** @returns true at the end of the list */
function readAnswers(data: Buffer, take: (body: Buffer) => void): boolean {
  for (let at = 0; at + HEADER_BYTES <= data.length; ) {
    const length = data.readUInt32LE(at);
    const type = data.readUInt16LE(at + 4);
    if (type === NLMSG_DONE) return true;
    if (type === NLMSG_ERROR) {
      throw new LinuxError('sock_diag', -data.readInt32LE(at + HEADER_BYTES));
    }
    take(data.subarray(at + HEADER_BYTES, at + length));
    at += (length + 3) & ~3;
  }
  return false;
}

/**
 * The attributes behind the fixed part of an answer, by their number.
 *
 * @param fixedBytes length of that part
 */
export function attributesOf(body: Buffer, fixedBytes: number): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = fixedBytes; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at);
    if (length < 4) break;
    attributes.set(body.readUInt16LE(at + 2), Buffer.from(body.subarray(at + 4, at + length)));
    at += (length + 3) & ~3;
  }
  return attributes;
}
