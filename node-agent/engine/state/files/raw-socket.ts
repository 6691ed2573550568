// Raw IP sockets and those that ping without rights (SOCK_DGRAM with ICMP); raw(7), icmp(7).
import { FdType } from '../../image/messages/enums.ts';
import type { InetSkEntry, IpOptsRawEntry } from '../../image/messages/sockets.ts';
import { check, LinuxError } from '../../linux/error.ts';
import { POLL, pollNow } from '../../linux/readiness.ts';
import {
  AF,
  getOption,
  intBytes,
  intOption,
  LEVEL,
  peerAddress,
  SOCK,
  tryAddress,
  trySetOption,
} from '../../linux/sockets.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { addressBytes, addressText, isAnyAddress } from './inet-address.ts';
import {
  bindAgain,
  checkAddress,
  describeInet,
  destinationOf,
  makeInetSocket,
} from './inet-socket.ts';
import type { OpenFile } from './open-file.ts';
import { inetProtocol } from './tcp.ts';
import { domainOf } from './unix-socket.ts';

const IPPROTO = { ICMP: 1, ICMPV6: 58, RAW: 255 } as const;
const IP = { HDRINCL: 3, NODEFRAG: 22 } as const;
const IPV6 = { CHECKSUM: 7, HDRINCL: 36 } as const;
/** ICMP_FILTER of SOL_RAW, ICMPV6_FILTER of SOL_ICMPV6 */
const FILTER = 1;
const FILTER_BYTES = 32;
const ESTABLISHED = 1;
const CLOSE = 7;

interface Identity {
  readonly type: number;
  readonly proto: number;
}

function identify(file: OpenFile): Identity | undefined {
  const ping = inetProtocol(file, SOCK.DGRAM);
  if (ping === IPPROTO.ICMP || ping === IPPROTO.ICMPV6) return { type: SOCK.DGRAM, proto: ping };
  const raw = inetProtocol(file, SOCK.RAW);
  return raw === undefined ? undefined : { type: SOCK.RAW, proto: raw };
}

const isPing = ({ type, proto }: Identity): boolean =>
  type === SOCK.DGRAM && (proto === IPPROTO.ICMP || proto === IPPROTO.ICMPV6);

export const rawSocket: FileKind = {
  name: 'raw-socket',

  recognises: (file) => identify(file) !== undefined,

  collect(file, dump) {
    const identity = identify(file) as Identity;
    const fd = file.duplicate;
    if (pollNow(fd, POLL.IN) & POLL.IN) {
      file.report('loss', 'RawQueue', 'packets that were received but not read are not restored');
    }
    const family = domainOf(file);
    const state = peerAddress(fd) ? ESTABLISHED : CLOSE;
    const isk = describeInet(file, dump, { family, ...identity, state, backlog: 0 });
    const raw = identity.type === SOCK.RAW ? { raw: readRaw(fd, family, identity.proto) } : {};
    return { type: FdType.INETSK, id: file.id, isk: { ...isk, ipOpts: { ...isk.ipOpts, ...raw } } };
  },

  restores: ({ isk }) => isk !== undefined && (isk.type === SOCK.RAW || isPing(isk)),

  check: (entry, target) =>
    entry.isk!.state === ESTABLISHED ? [] : checkAddress(entry.isk!, target),

  open: (entry, opening) => () => open(entry.isk!, opening),
};

function readRaw(fd: number, family: number, proto: number): IpOptsRawEntry {
  const v6 = family === AF.INET6;
  const level = v6 ? IPPROTO.ICMPV6 : IPPROTO.RAW;
  const filters = proto === IPPROTO.ICMP || proto === IPPROTO.ICMPV6;
  const filter = filters ? getOption(fd, level, FILTER, FILTER_BYTES) : undefined;
  const icmpvFilter = filter
    ? Array.from({ length: filter.length / 4 }, (_, i) => filter.readUInt32LE(i * 4))
    : [];
  return {
    hdrincl:
      (v6 ? intOption(fd, LEVEL.IPV6, IPV6.HDRINCL) : intOption(fd, LEVEL.IP, IP.HDRINCL)) !== 0,
    ...(!v6 && { nodefrag: intOption(fd, LEVEL.IP, IP.NODEFRAG) !== 0 }),
    ...(v6 && { checksum: intOption(fd, LEVEL.IPV6, IPV6.CHECKSUM) >= 0 }),
    icmpvFilter,
  };
}

function writeRaw(fd: number, { family, ipOpts }: InetSkEntry): void {
  const raw = ipOpts?.raw;
  if (!raw) return;
  const v6 = family === AF.INET6;
  const set = (level: number, name: number, value: boolean | undefined): void => {
    if (value === undefined || (intOption(fd, level, name) !== 0) === value) return;
    trySetOption(fd, level, name, intBytes(Number(value)));
  };
  if (v6) set(LEVEL.IPV6, IPV6.HDRINCL, raw.hdrincl);
  else set(LEVEL.IP, IP.HDRINCL, raw.hdrincl);
  if (!v6) set(LEVEL.IP, IP.NODEFRAG, raw.nodefrag);
  if (raw.icmpvFilter.length === 0) return;
  const filter = Buffer.from(Uint32Array.from(raw.icmpvFilter).buffer);
  check(
    trySetOption(fd, v6 ? IPPROTO.ICMPV6 : IPPROTO.RAW, FILTER, filter),
    'setsockopt(ICMP_FILTER)',
  );
}

function open(entry: InetSkEntry, opening: FileOpening): number {
  const fd = makeInetSocket(entry, opening);
  writeRaw(fd, entry);
  const { srcAddr, srcPort, dstAddr, family } = entry;
  if (!isAnyAddress(srcAddr) || (isPing(entry) && srcPort !== 0)) {
    const facts = { pid: opening.ownerOf(entry.id).saved.pid, object: addressText(srcAddr) };
    check(
      bindAgain(fd, entry, () => undefined),
      'bind',
      facts,
    );
  }
  if (isAnyAddress(dstAddr)) return fd;
  const result = tryAddress('connect', fd, addressBytes(family, destinationOf(entry)));
  if (result < 0) throw new LinuxError('connect', -result, { object: addressText(dstAddr) });
  return fd;
}
