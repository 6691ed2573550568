// A pair with nothing on the way, read without TCP_REPAIR: its application can go on with it whenever this process ends.
import { randomBytes } from 'node:crypto';
import type { InetSkEntry, TcpStreamEntry } from '../../image/messages/sockets.ts';
import { readableBytes } from '../../linux/readiness.ts';
import * as repair from '../../linux/tcp-repair.ts';
import type { Look } from './tcp-pairs.ts';
import { finReceived, finSent, isConnected } from './tcp-state.ts';

/** Of the options that go with every segment; what TCP_MAXSEG tells is without them. */
const TIMESTAMP_BYTES = 12;

/** One end. */
export interface QuietEnd {
  /** the engine's own descriptor */
  readonly fd: number;
  readonly isk: InetSkEntry;
}

/**
 * Everything that was sent has been acknowledged, so each receive queue is all that there is, and one look is enough while
 * the processes stand still. Which numbers the bytes had does not matter, as both ends get theirs anew.
 *
 * @returns undefined when something may be under way
 */
export function lookAtQuietPair(a: QuietEnd, b: QuietEnd): readonly [Look, Look] | undefined {
  if (!isQuiet(a) || !isQuiet(b)) return undefined;
  const states = [repair.connectionState(a.fd), repair.connectionState(b.fd)] as const;
  const [fromA, fromB] = [randomNumber(), randomNumber()];
  return [
    lookAt(a, states[0], { sent: fromA, received: fromB }),
    lookAt(b, states[1], { sent: fromB, received: fromA }),
  ];
}

const randomNumber = (): number => randomBytes(4).readUInt32LE(0);

const isQuiet = ({ fd }: QuietEnd): boolean =>
  isConnected(repair.connectionState(fd)) && repair.unacknowledged(fd) === 0;

/** @param ends numbers behind the last byte of both streams */
function lookAt(
  { fd, isk: { tcpOpts } }: QuietEnd,
  state: number,
  ends: { readonly sent: number; readonly received: number },
): Look {
  const inqLen = readableBytes(fd);
  const negotiated = repair.readNegotiated(fd);
  const options = negotiated.optMask & repair.NEGOTIATED.TIMESTAMPS ? TIMESTAMP_BYTES : 0;
  const entry: TcpStreamEntry = {
    inqLen,
    inqSeq: (ends.received + Number(finReceived(state))) >>> 0,
    outqLen: 0,
    outqSeq: (ends.sent + Number(finSent(state))) >>> 0,
    unsqLen: 0,
    ...negotiated,
    mssClamp: negotiated.mssClamp + options,
    timestamp: repair.timestamp(fd),
    cork: tcpOpts?.cork ?? false,
    nodelay: tcpOpts?.nodelay ?? false,
  };
  return { state, stream: { entry, bytes: repair.peekQueue(fd, inqLen) } };
}
