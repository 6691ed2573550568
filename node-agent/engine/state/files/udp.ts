// UDP and UDP-Lite: addresses, options, and datagrams that nobody has read yet.
import { FdType } from '../../image/messages/enums.ts';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import { LinuxError } from '../../linux/error.ts';
import { intOption, LEVEL, peerAddress, SOCK, tryAddress } from '../../linux/sockets.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { addressBytes, addressText } from './inet-address.ts';
import {
  bindAgain,
  checkAddress,
  describeInet,
  destinationOf,
  makeInetSocket,
} from './inet-socket.ts';
import { inetProtocol } from './tcp.ts';
import { withAddressHere } from './pod-address.ts';
import { refillDatagrams, saveDatagrams } from './udp-queue.ts';
import { domainOf } from './unix-socket.ts';

/** UDP and UDP-Lite */
const PROTOCOLS: ReadonlySet<number | undefined> = new Set([17, 136]);
const UDP_CORK = 1;
const ESTABLISHED = 1;
const CLOSE = 7;

export const udp: FileKind = {
  name: 'udp',

  recognises: (file) => PROTOCOLS.has(inetProtocol(file, SOCK.DGRAM)),

  collect(file, dump) {
    const fd = file.duplicate;
    if (intOption(fd, LEVEL.UDP, UDP_CORK) !== 0) {
      return file.refuse('UdpCorked', 'a datagram is being put together (UDP_CORK): send it first');
    }
    saveDatagrams(file, dump);
    const isk = describeInet(file, dump, {
      family: domainOf(file),
      type: SOCK.DGRAM,
      proto: inetProtocol(file, SOCK.DGRAM) ?? 0,
      state: peerAddress(fd) ? ESTABLISHED : CLOSE,
      backlog: 0,
    });
    return { type: FdType.INETSK, id: file.id, isk };
  },

  restores: ({ isk }) => isk?.type === SOCK.DGRAM && PROTOCOLS.has(isk.proto),

  check(entry, target) {
    // A connected socket shows the address that its route had; the new route gives it the new one.
    return entry.isk!.state === ESTABLISHED ? [] : checkAddress(entry.isk!, target);
  },

  open(entry, opening) {
    return () => {
      const fd = openUdp(entry.isk!, opening);
      refillDatagrams(withAddressHere(entry.isk!, opening.options), opening);
      return fd;
    };
  },
};

function openUdp(saved: InetSkEntry, opening: FileOpening): number {
  const entry = withAddressHere(saved, opening.options);
  const fd = makeInetSocket(entry, opening);
  const connected = entry.dstPort !== 0;
  if (entry.srcPort !== 0) bindUdp(fd, entry, connected, opening);
  if (!connected) return fd;
  const destination = destinationOf(entry);
  const result = tryAddress('connect', fd, addressBytes(entry.family, destination));
  if (result < 0) {
    const builder = opening.ownerOf(entry.id);
    builder.report({
      code: 'UdpUnreachable',
      severity: 'loss',
      pid: builder.saved.pid,
      object: `UDP socket connected to ${addressText(destination.words)}:${destination.port}`,
      advice: `it is restored unconnected (${new LinuxError('connect', -result).errno})`,
    });
  }
  return fd;
}

function bindUdp(fd: number, entry: InetSkEntry, connected: boolean, opening: FileOpening): void {
  const nothing = (): void => undefined;
  let result = bindAgain(fd, entry, nothing);
  if (result < 0 && connected) {
    const anywhere = { ...entry, srcAddr: entry.srcAddr.map(() => 0) };
    result = bindAgain(fd, anywhere, nothing);
  }
  if (result >= 0) return;
  const object = `${addressText(entry.srcAddr)}:${entry.srcPort}`;
  throw new LinuxError('bind', -result, { pid: opening.ownerOf(entry.id).saved.pid, object });
}
