// Interfaces of the caller's network namespace; netdevice(7).
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd } from './descriptors.ts';
import { allocate, syscall } from './ffi.ts';
import { AF, makeSocket, SOCK } from './sockets.ts';

const SIOCGIFNAME = 0x8910;
/** `struct ifreq`: the name, then a union */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;

const request = allocate(IFREQ_BYTES);

/** Name of an interface, undefined when there is none of that number. */
export function interfaceName(index: number): string | undefined {
  using socket = new OwnedFd(makeSocket(AF.INET, SOCK.DGRAM, 0));
  request.bytes.fill(0);
  request.view.setInt32(NAME_BYTES, index, true);
  if (syscall(SYS.ioctl, socket.fd, SIOCGIFNAME, request.address) < 0) return undefined;
  return request.bytes.toString('latin1', 0, NAME_BYTES).replace(/\0.*$/s, '');
}
