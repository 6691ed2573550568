// Integer options of sockets that CRIU does not keep: those that are not as in a new socket of the same kind.
import type { SocketOptionEntry } from '../../image/messages/sockets.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import {
  AF,
  getOption,
  intBytes,
  intOption,
  LEVEL,
  makeSocket,
  SO,
  SOCK,
  trySetOption,
} from '../../linux/sockets.ts';

/** An option that the kernel refuses. */
export interface LostOption {
  readonly option: string;
  readonly errno: string;
}

/** Option numbers by level, include/uapi/linux/{in,in6,tcp,udp}.h and asm-generic/socket.h. */
const SOCKET_OPTIONS = {
  TIMESTAMP: 29,
  TIMESTAMPNS: 35,
  RXQ_OVFL: 40,
  PEEK_OFF: 42,
  BUSY_POLL: 46,
  ZEROCOPY: 60,
  PASSPIDFD: 76,
} as const;
const IP_OPTIONS = {
  MTU_DISCOVER: 10,
  RECVERR: 11,
  RECVTTL: 12,
  RECVTOS: 13,
  TRANSPARENT: 19,
  MINTTL: 21,
  BIND_ADDRESS_NO_PORT: 24,
} as const;
const IPV6_OPTIONS = {
  UNICAST_HOPS: 16,
  MTU_DISCOVER: 23,
  RECVERR: 25,
  RECVHOPLIMIT: 51,
  RECVTCLASS: 66,
  TCLASS: 67,
  TRANSPARENT: 75,
} as const;
/** Not of streams: there the kernel keeps something else in these places. */
const IP_MULTICAST_OPTIONS = { TTL: 33, LOOP: 34 } as const;
const IPV6_MULTICAST_OPTIONS = { HOPS: 18, LOOP: 19 } as const;
const TCP_OPTIONS = {
  SYNCNT: 7,
  LINGER2: 8,
  DEFER_ACCEPT: 9,
  WINDOW_CLAMP: 10,
  USER_TIMEOUT: 18,
  FASTOPEN: 23,
  NOTSENT_LOWAT: 25,
  FASTOPEN_CONNECT: 30,
} as const;
const UDP_OPTIONS = { NO_CHECK6_TX: 101, NO_CHECK6_RX: 102, SEGMENT: 103, GRO: 104 } as const;

interface OptionName {
  readonly level: number;
  readonly name: number;
}

const at = (level: number, names: Readonly<Record<string, number>>): OptionName[] =>
  Object.values(names).map((name) => ({ level, name }));

/** Which options a socket can have. */
function optionsOf(domain: number, type: number): OptionName[] {
  const general = at(LEVEL.SOCKET, SOCKET_OPTIONS);
  if (domain !== AF.INET && domain !== AF.INET6) return general;
  const v6 = domain === AF.INET6;
  const transport =
    type === SOCK.STREAM
      ? at(LEVEL.TCP, TCP_OPTIONS)
      : [
          ...at(LEVEL.UDP, UDP_OPTIONS),
          ...at(LEVEL.IP, IP_MULTICAST_OPTIONS),
          ...(v6 ? at(LEVEL.IPV6, IPV6_MULTICAST_OPTIONS) : []),
        ];
  const network = at(LEVEL.IP, IP_OPTIONS);
  const network6 = v6 ? at(LEVEL.IPV6, IPV6_OPTIONS) : [];
  return [...general, ...transport, ...network, ...network6];
}

/** Values of a new socket; made anew each time, since they follow the sysctls. */
function defaultsOf(like: number, domain: number, options: readonly OptionName[]): number[] {
  const of = (name: number): number => intOption(like, LEVEL.SOCKET, name);
  const fd = makeSocket(domain, of(SO.TYPE), of(SO.PROTOCOL));
  const values = options.map(({ level, name }) => intOption(fd, level, name));
  closeFd(fd);
  return values;
}

/** @param fd the engine's duplicate of a unix, TCP or UDP socket */
export function readExtras(fd: number, domain: number): SocketOptionEntry[] {
  const type = intOption(fd, LEVEL.SOCKET, SO.TYPE);
  const options = optionsOf(domain, type);
  const defaults = defaultsOf(fd, domain, options);
  return options.flatMap(({ level, name }, i) => {
    const value = getOption(fd, level, name)?.readInt32LE(0);
    return value === undefined || value === defaults[i] ? [] : [{ level, name, value }];
  });
}

export function writeExtras(fd: number, extras: readonly SocketOptionEntry[]): LostOption[] {
  return extras.flatMap(({ level, name, value }) => {
    const result = trySetOption(fd, level, name, intBytes(value));
    if (result >= 0) return [];
    return [{ option: `${level}/${name}`, errno: new LinuxError('setsockopt', -result).errno }];
  });
}
