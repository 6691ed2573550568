// Integer options of sockets that CRIU does not keep: those that are not as in a new socket of the same kind.
import type { SocketOptionEntry } from '../../image/messages/sockets.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { inNetworkOf, networkOf } from '../../linux/network-namespace.ts';
import { type OptionName, OptionReader, type OptionValues } from '../../linux/option-reader.ts';
import { RARE_OPTIONS, SocketFacts } from '../../linux/socket-facts.ts';
import { AF, LEVEL, makeSocket, SO, SOCK } from '../../linux/sockets.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';

/** Option numbers by level, include/uapi/linux/{in,in6,tcp,udp}.h. */
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

const at = (level: number, names: Readonly<Record<string, number>>): OptionName[] =>
  Object.values(names).map((name) => ({ level, name }));

const IPV4 = at(LEVEL.IP, IP_OPTIONS);
const IPV6 = [...IPV4, ...at(LEVEL.IPV6, IPV6_OPTIONS)];
const STREAM = at(LEVEL.TCP, TCP_OPTIONS);
const DATAGRAM = [...at(LEVEL.UDP, UDP_OPTIONS), ...at(LEVEL.IP, IP_MULTICAST_OPTIONS)];

/** Of internet sockets, beyond those that every socket has. */
const INET_READERS = {
  stream4: new OptionReader([...STREAM, ...IPV4]),
  stream6: new OptionReader([...STREAM, ...IPV6]),
  datagram4: new OptionReader([...DATAGRAM, ...IPV4]),
  datagram6: new OptionReader([...DATAGRAM, ...at(LEVEL.IPV6, IPV6_MULTICAST_OPTIONS), ...IPV6]),
} as const;

function readerFor({ domain, type }: SocketFacts): OptionReader | undefined {
  if (domain !== AF.INET && domain !== AF.INET6) return undefined;
  const family = domain === AF.INET6 ? 6 : 4;
  return INET_READERS[`${type === SOCK.STREAM ? 'stream' : 'datagram'}${family}`];
}

/** A new socket of the same kind. */
interface Defaults {
  readonly facts: SocketFacts;
  readonly values: OptionValues | undefined;
}

/** Made in the network namespace of the process, whose sysctls they follow. */
function readDefaults(pid: number, like: SocketFacts): Defaults {
  return inNetworkOf(pid, () => {
    const fd = makeSocket(like.domain, like.type, like.protocol);
    try {
      return { facts: new SocketFacts(fd), values: readerFor(like)?.read(fd) };
    } finally {
      closeFd(fd);
    }
  });
}

/** @param file a socket */
export function readExtras(file: OpenFile, dump: FileDump): SocketOptionEntry[] {
  const { socket } = file;
  const { pid } = file.subject.process;
  const network = dump.once(`network of ${pid}`, () => networkOf(pid));
  const { domain, type, protocol } = socket;
  const defaults = dump.once(`new socket ${network} ${domain} ${type} ${protocol}`, () =>
    readDefaults(pid, socket),
  );
  const extras: SocketOptionEntry[] = [];
  const note = (name: OptionName, value: number | undefined, usual: number | undefined): void => {
    if (value !== undefined && value !== (usual ?? 0)) extras.push({ ...name, value });
  };
  for (const name of RARE_OPTIONS) {
    const option = { level: LEVEL.SOCKET, name: SO[name] };
    note(option, socket.optional(name), defaults.facts.optional(name));
  }
  const reader = readerFor(socket);
  const values = reader?.read(file.duplicate);
  reader?.options.forEach((name, place) => {
    note(name, values?.integer(place), defaults.values?.integer(place));
  });
  return extras;
}
