// Connections of which both sides are saved: who belongs to whom, and one state of both that needs nothing on the way. Pure.
import type { InetSkEntry, TcpStreamEntry } from '../../image/messages/sockets.ts';
import type { Connection } from '../../linux/connection-lock.ts';
import { addressText, isMapped } from './inet-address.ts';
import { finReceived, finSent } from './tcp-state.ts';

const WORD = 2 ** 32;

/** One side of a connection that was read: its message, then received and sent bytes. */
export interface ReadStream {
  readonly entry: TcpStreamEntry;
  readonly bytes: Buffer;
}

/** One look at one side. */
export interface Look {
  readonly stream: ReadStream;
  /** TCP_* number */
  readonly state: number;
}

/** As its own side sees it. */
export function connectionOf({
  srcAddr,
  srcPort,
  dstAddr,
  dstPort,
}: Pick<InetSkEntry, 'srcAddr' | 'srcPort' | 'dstAddr' | 'dstPort'>): Connection {
  const plain = (words: readonly number[]): readonly number[] =>
    isMapped(words) ? words.slice(3) : words;
  const [local, remote] = [plain(srcAddr), plain(dstAddr)];
  return {
    family: local.length === 1 ? 4 : 6,
    local: addressText(local),
    localPort: srcPort,
    remote: addressText(remote),
    remotePort: dstPort,
  };
}

/** `10.0.0.1:80 -> 10.0.0.2:4040`, for people. */
export function connectionText(connection: Connection): string {
  const { family, local, localPort, remote, remotePort } = connection;
  const at = (address: string, port: number): string =>
    family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  return `${at(local, localPort)} -> ${at(remote, remotePort)}`;
}

const keyOf = ({ local, localPort, remote, remotePort }: Connection): string =>
  `${local} ${localPort} ${remote} ${remotePort}`;

const otherSide = (connection: Connection): Connection => ({
  ...connection,
  local: connection.remote,
  localPort: connection.remotePort,
  remote: connection.local,
  remotePort: connection.localPort,
});

/** Sockets of one network namespace by their other sides; one without is in no pair, nor is one that talks to itself. */
export function pairsOf<T extends { readonly connection: Connection }>(
  sockets: readonly T[],
): { readonly pairs: readonly (readonly [T, T])[]; readonly alone: readonly T[] } {
  const waiting = new Map<string, T>();
  const pairs: (readonly [T, T])[] = [];
  for (const socket of sockets) {
    const other = waiting.get(keyOf(otherSide(socket.connection)));
    if (other) {
      waiting.delete(keyOf(other.connection));
      pairs.push([other, socket]);
    } else waiting.set(keyOf(socket.connection), socket);
  }
  return { pairs, alone: [...waiting.values()] };
}

/** Was nothing received, acknowledged or sent between two looks at one side? */
export function isSame(a: Look, b: Look): boolean {
  const numbers = ({ state, stream: { entry } }: Look): string =>
    [state, entry.inqLen, entry.inqSeq, entry.outqLen, entry.outqSeq].join(' ');
  return numbers(a) === numbers(b);
}

/**
 * What both sides know after everything that is on the way has arrived or was lost: what the other side has is acknowledged, what
 * it has not was never sent.
 *
 * @returns undefined when the two do not fit
 */
export function settle(a: Look, b: Look): readonly [ReadStream, ReadStream] | undefined {
  const [left, right] = [settleSide(a, b), settleSide(b, a)];
  return left && right && [left, right];
}

function settleSide(side: Look, other: Look): ReadStream | undefined {
  const { entry, bytes } = side.stream;
  // The end of a stream counts as one byte, that no queue holds.
  const end = entry.outqSeq - Number(finSent(side.state));
  const arrived = other.stream.entry.inqSeq - Number(finReceived(other.state));
  const missing = (((end - arrived) % WORD) + WORD) % WORD;
  if (missing > entry.outqLen) return undefined;
  const arrivedUnknown = entry.outqLen - missing;
  const [received, sending] = [bytes.subarray(0, entry.inqLen), bytes.subarray(entry.inqLen)];
  return {
    entry: {
      ...entry,
      outqLen: missing,
      unsqLen: missing,
      paired: true,
      // The window counts from what is acknowledged.
      ...(entry.sndWnd !== undefined && { sndWnd: Math.max(0, entry.sndWnd - arrivedUnknown) }),
    },
    bytes: Buffer.concat([received, sending.subarray(sending.length - missing)]),
  };
}
