// Established TCP connections, made again where both sides left them. All at once and locked: none of them may hear from
// another side that is not there yet.
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import {
  type Connection,
  ConnectionLock,
  LOCK_TOOLS,
  unlockConnections,
} from '../../linux/connection-lock.ts';
import { check } from '../../linux/error.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import {
  intBytes,
  LEVEL,
  SHUT,
  shutdownSocket,
  SO,
  tryAddress,
  trySetOption,
} from '../../linux/sockets.ts';
import * as repair from '../../linux/tcp-repair.ts';
import type { FileOpening } from './file-opening.ts';
import { addressBytes } from './inet-address.ts';
import { writeTcpOptions } from './inet-options.ts';
import { destinationOf, sourceOf } from './inet-socket.ts';
import type { SavedStream } from './saved-files.ts';
import { FLAG, sendSegment } from './tcp-segment.ts';
import { finReceived, finSent, TCP_STATE } from './tcp-state.ts';
import { connectionOf } from './tcp-pairs.ts';

/** More than any queue holds; the application's own sizes are put back afterwards. */
const ROOM_BYTES = 64 << 20;

interface Stream {
  readonly fd: number;
  readonly isk: InetSkEntry;
  readonly stream: SavedStream;
}

/** The connections of one tree. Listeners have their ports by then: a connection in repair shares one with anybody. */
export class StreamRestore {
  readonly #opening: FileOpening;
  readonly #streams: Stream[] = [];

  constructor(opening: FileOpening) {
    this.#opening = opening;
    opening.whenPlaced(() => inNetworkOf(opening.root.process.pid, () => this.#restore()));
  }

  add(stream: Stream): void {
    this.#streams.push(stream);
  }

  #restore(): void {
    const { pid } = this.#opening.root.process;
    const connections = this.#streams.map(({ isk }) => connectionOf(isk));
    const lock = ConnectionLock.take(pid, connections, LOCK_TOOLS);
    try {
      for (const stream of this.#streams) rebuild(stream);
    } finally {
      lock.release();
    }
    this.#unlockSaved(pid, connections);
    for (const stream of this.#streams) goOn(stream);
  }

  /** What the dump left on when it ended the application. */
  #unlockSaved(pid: number, connections: readonly Connection[]): void {
    const names = new Set(this.#streams.flatMap(({ stream }) => stream.entry.lock ?? []));
    for (const name of names) unlockConnections(pid, name, connections);
  }
}

/** Up to the state that it had, silent. */
function rebuild({ fd, isk, stream }: Stream): void {
  const { entry, bytes } = stream;
  const { state, family } = isk;
  repair.setRepair(fd, true);
  const received = entry.inqSeq - entry.inqLen - Number(finReceived(state));
  const sent = entry.outqSeq - entry.outqLen - Number(finSent(state));
  repair.selectQueue(fd, repair.QUEUE.RECEIVE);
  repair.setQueueSequence(fd, received);
  repair.selectQueue(fd, repair.QUEUE.SEND);
  repair.setQueueSequence(fd, sent);
  check(tryAddress('bind', fd, addressBytes(family, sourceOf(isk))), 'bind');
  check(tryAddress('connect', fd, addressBytes(family, destinationOf(isk))), 'connect');
  repair.writeNegotiated(fd, { ...entry, rcvWscale: entry.rcvWscale ?? 0 });
  if (entry.timestamp !== undefined) repair.setTimestamp(fd, entry.timestamp);
  withRoom(fd, isk, () => {
    const sentBytes = entry.outqLen - (entry.unsqLen ?? 0);
    repair.selectQueue(fd, repair.QUEUE.RECEIVE);
    repair.fillQueue(fd, bytes.subarray(0, entry.inqLen));
    repair.selectQueue(fd, repair.QUEUE.SEND);
    repair.fillQueue(fd, bytes.subarray(entry.inqLen, entry.inqLen + sentBytes));
  });
  endStreams({ fd, isk, stream });
  writeWindows(fd, stream);
}

/** Big buffers while a queue is filled. */
export function withRoom(fd: number, { opts }: InetSkEntry, fill: () => void): void {
  const size = (name: number, bytes: number): void =>
    void trySetOption(fd, LEVEL.SOCKET, name, intBytes(bytes));
  size(SO.SNDBUFFORCE, ROOM_BYTES);
  size(SO.RCVBUFFORCE, ROOM_BYTES);
  fill();
  size(SO.SNDBUFFORCE, opts.soSndbuf >>> 1);
  size(SO.RCVBUFFORCE, opts.soRcvbuf >>> 1);
  if (opts.soBufLock !== undefined) size(SO.BUF_LOCK, opts.soBufLock);
}

/**
 * Ends of streams, in the order that leads to the saved state: LAST_ACK heard the other side's end first, CLOSING sent
 * its own first. In repair our FIN counts as sent; what has unsent data before it waits for {@link goOn}.
 */
function endStreams({ fd, isk, stream }: Stream): void {
  const { state } = isk;
  const waits = (stream.entry.unsqLen ?? 0) > 0;
  if (state === TCP_STATE.LAST_ACK) hearFin(isk, stream);
  if (finSent(state) && !waits) shutdownSocket(fd, SHUT.WR);
  if (state === TCP_STATE.CLOSE_WAIT || state === TCP_STATE.CLOSING) hearFin(isk, stream);
  if (state === TCP_STATE.FIN_WAIT2) hearAcknowledgement(isk, stream);
}

function hear(
  isk: InetSkEntry,
  { entry }: SavedStream,
  what: { sequence: number; acknowledge: number; flags: number },
): void {
  sendSegment({
    from: isk.dstAddr,
    fromPort: isk.dstPort,
    to: isk.srcAddr,
    toPort: isk.srcPort,
    ...what,
    window: Math.min(0xffff, (entry.sndWnd ?? 0xffff) >>> entry.sndWscale),
  });
}

/** The other side's FIN, that acknowledges nothing new. */
function hearFin(isk: InetSkEntry, stream: SavedStream): void {
  const { inqSeq, outqSeq, outqLen } = stream.entry;
  const acknowledge = outqSeq - outqLen - Number(finSent(isk.state));
  hear(isk, stream, { sequence: inqSeq - 1, acknowledge, flags: FLAG.FIN | FLAG.ACK });
}

function hearAcknowledgement(isk: InetSkEntry, stream: SavedStream): void {
  const { inqSeq, outqSeq } = stream.entry;
  hear(isk, stream, { sequence: inqSeq, acknowledge: outqSeq, flags: FLAG.ACK });
}

function writeWindows(fd: number, { entry }: SavedStream): void {
  const { sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup } = entry;
  const known = [sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup];
  if (known.includes(undefined)) return;
  repair.writeWindows(fd, {
    sndWl1: sndWl1!,
    sndWnd: sndWnd!,
    maxWindow: maxWindow!,
    rcvWnd: rcvWnd!,
    rcvWup: rcvWup!,
  });
}

/** Unlocked: what was never sent is sent now, and the other side is told that we are there. */
function goOn({ fd, isk, stream }: Stream): void {
  const { outqLen, unsqLen = 0, inqLen } = stream.entry;
  repair.selectQueue(fd, repair.QUEUE.NONE);
  repair.setRepair(fd, false);
  trySetOption(fd, LEVEL.SOCKET, SO.REUSEADDR, intBytes(Number(isk.opts.reuseaddr ?? false)));
  if (unsqLen > 0) {
    const end = inqLen + outqLen;
    withRoom(fd, isk, () => repair.fillQueue(fd, stream.bytes.subarray(end - unsqLen, end)));
    if (finSent(isk.state)) shutdownSocket(fd, SHUT.WR);
  }
  writeTcpOptions(fd, isk);
}
