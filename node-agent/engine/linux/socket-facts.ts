// What a socket of whatever family tells of itself: what it is, and the options of socket(7).
import { OptionReader, type OptionValues } from './option-reader.ts';
import { LEVEL, SO } from './sockets.ts';

/** struct timeval, struct linger, IFNAMSIZ; the length of a filter is asked for without the filter. */
const BYTES = {
  SNDTIMEO: 16,
  RCVTIMEO: 16,
  LINGER: 8,
  BINDTODEVICE: 16,
  ATTACH_FILTER: 0,
} as const;

const isLong = (name: string): name is keyof typeof BYTES => name in BYTES;

/** Hardly ever other than in a new socket. */
export const RARE_OPTIONS = [
  'TIMESTAMP',
  'TIMESTAMPNS',
  'RXQ_OVFL',
  'PEEK_OFF',
  'BUSY_POLL',
  'ZEROCOPY',
  'PASSPIDFD',
] as const satisfies readonly (keyof typeof SO)[];

const NAMES = [
  'DOMAIN',
  'TYPE',
  'PROTOCOL',
  'SNDBUF',
  'RCVBUF',
  'SNDTIMEO',
  'RCVTIMEO',
  'REUSEADDR',
  'REUSEPORT',
  'PRIORITY',
  'RCVLOWAT',
  'MARK',
  'PASSCRED',
  'PASSSEC',
  'DONTROUTE',
  'NO_CHECK',
  'BROADCAST',
  'KEEPALIVE',
  'OOBINLINE',
  'BUF_LOCK',
  'LINGER',
  'BINDTODEVICE',
  'ATTACH_FILTER',
  ...RARE_OPTIONS,
] as const satisfies readonly (keyof typeof SO)[];

export type SocketOption = (typeof NAMES)[number];

const PLACES = new Map<SocketOption, number>(NAMES.map((name, place) => [name, place]));
const reader = new OptionReader(
  NAMES.map((name) => ({
    level: LEVEL.SOCKET,
    name: SO[name],
    ...(isLong(name) && { bytes: BYTES[name] }),
  })),
);

/** One look at one socket. */
export class SocketFacts {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
  readonly #values: OptionValues;

  /** @param fd of this process; a file that is no socket has 0 in every place */
  constructor(fd: number) {
    this.#values = reader.read(fd);
    this.domain = this.integer('DOMAIN');
    this.type = this.integer('TYPE');
    this.protocol = this.integer('PROTOCOL');
  }

  /** 0 where the socket has no such option. */
  integer(name: SocketOption): number {
    return this.optional(name) ?? 0;
  }

  /** Undefined where the socket has no such option. */
  optional(name: SocketOption): number | undefined {
    return this.#values.integer(PLACES.get(name) as number);
  }

  bytes(name: SocketOption): Buffer | undefined {
    return this.#values.bytes(PLACES.get(name) as number);
  }

  /** Is there a packet filter? Whether it can be read back is another question. */
  get hasFilter(): boolean {
    return this.#values.length(PLACES.get('ATTACH_FILTER') as number) !== 0;
  }
}
