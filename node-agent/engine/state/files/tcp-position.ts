// How far an application is in a connection, whatever the other side has sent or acknowledged since: told by the kernel's
// counters, without TCP_REPAIR.
import type { PositionEntry } from '../../image/messages/sockets.ts';
import { readableBytes } from '../../linux/readiness.ts';
import { getOption, LEVEL } from '../../linux/sockets.ts';
import { unacknowledged } from '../../linux/tcp-repair.ts';
import { cookieOf } from '../../linux/tcp-sockets.ts';
import { finReceived, isConnected } from './tcp-state.ts';

const TCP_INFO = 11;
/** Places in `struct tcp_info`, bytes_acked and bytes_received since Linux 4.2. */
const INFO = { state: 0, acknowledged: 120, received: 128 } as const;
const INFO_BYTES = 136;
/** Acknowledgements come by themselves; so many in a row do not. */
const LOOKS = 100;

/** What the kernel has counted. */
export interface Counters {
  readonly state: number;
  /** of what the application has written, an end counts as one */
  readonly acknowledged: bigint;
  /** from the other side, an end counts as one */
  readonly received: bigint;
}

/** Pure. @param queues bytes that are written and not acknowledged, and received and not read */
export function positionOf(
  cookie: bigint,
  counters: Counters,
  queues: { readonly unacknowledged: number; readonly unread: number },
): PositionEntry {
  const { state, acknowledged, received } = counters;
  const end = BigInt(finReceived(state));
  return {
    cookie,
    written: acknowledged + BigInt(queues.unacknowledged),
    read: received - end - BigInt(queues.unread),
  };
}

/** @returns undefined for what is no connection any more, or does not come to rest */
export function readPosition(fd: number): PositionEntry | undefined {
  for (let look = 0; look < LOOKS; look++) {
    const before = readCounters(fd);
    if (!before || !isConnected(before.state)) return undefined;
    const queues = { unacknowledged: unacknowledged(fd), unread: readableBytes(fd) };
    const after = readCounters(fd);
    if (after && isSame(before, after)) return positionOf(cookieOf(fd), before, queues);
  }
  return undefined;
}

function readCounters(fd: number): Counters | undefined {
  const info = getOption(fd, LEVEL.TCP, TCP_INFO, INFO_BYTES);
  if (!info || info.length < INFO_BYTES) return undefined;
  return {
    state: info.readUInt8(INFO.state),
    acknowledged: info.readBigUInt64LE(INFO.acknowledged),
    received: info.readBigUInt64LE(INFO.received),
  };
}

const isSame = (a: Counters, b: Counters): boolean =>
  a.state === b.state && a.acknowledged === b.acknowledged && a.received === b.received;
