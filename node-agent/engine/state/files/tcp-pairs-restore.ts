// Connections of which both sides come back: made again by both, out of numbers that fit and without a lock, as there is always
// somebody who hears. What was not delivered and the ends of streams are sent anew, by the kernel.
import type { Finding } from '../../finding.ts';
import { refusal } from '../../finding.ts';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import type { Connection } from '../../linux/connection-lock.ts';
import { check } from '../../linux/error.ts';
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
import { addressBytes } from './inet-address.ts';
import { writeTcpOptions } from './inet-options.ts';
import { destinationOf, sourceOf } from './inet-socket.ts';
import type { SavedFiles, SavedStream } from './saved-files.ts';
import { connectionOf, connectionText, pairsOf } from './tcp-pairs.ts';
import { finReceived, finSent, isConnected } from './tcp-state.ts';
import { withRoom } from './tcp-stream-restore.ts';

interface Side {
  /** the engine's, until all trees have their files */
  readonly fd: number;
  readonly isk: InetSkEntry;
  readonly stream: SavedStream;
}

/** The connections of all trees of one restore. */
export class PairRestore {
  readonly #sides: Side[] = [];

  add(side: Side): void {
    this.#sides.push(side);
  }

  /**
   * When all trees have their sockets and none runs. In this order:
   * 1. all exist, in repair: no segment comes to an address where nobody listens, which would be answered by a reset;
   * 2. all leave repair: each asks for the other's window;
   * 3. what had not arrived is sent, then the ends.
   */
  restore(): void {
    const sides = this.#sides.splice(0);
    for (const side of sides) rebuild(side);
    for (const { fd, isk } of sides) leaveRepair(fd, isk);
    for (const side of sides) sendRest(side);
    for (const { fd, isk } of sides) if (finSent(isk.state)) shutdownSocket(fd, SHUT.WR);
    for (const { fd, isk } of sides) writeTcpOptions(fd, isk);
  }
}

/** The sides of pairs in the images of one tree. */
export function pairedConnections(saved: SavedFiles): Connection[] {
  return [...saved.entries.values()].flatMap(({ isk }) =>
    isk && isConnected(isk.state) && saved.stream(isk.ino)?.entry.paired === true
      ? [connectionOf(isk)]
      : [],
  );
}

/** Before the first change, of all trees: a side whose other one is not restored would talk to nobody. */
export function checkPairs(trees: readonly SavedFiles[]): Finding[] {
  const sides = trees.flatMap(pairedConnections).map((connection) => ({ connection }));
  const advice = 'its other side is not restored with it: restore all containers of the Checkpoint';
  return pairsOf(sides).alone.map(({ connection }) =>
    refusal('TcpPairBroken', 0, `connection ${connectionText(connection)}`, advice),
  );
}

/** Both streams as they were before they ended. */
function rebuild({ fd, isk, stream: { entry, bytes } }: Side): void {
  const { state, family } = isk;
  repair.setRepair(fd, true);
  repair.selectQueue(fd, repair.QUEUE.RECEIVE);
  repair.setQueueSequence(fd, entry.inqSeq - entry.inqLen - Number(finReceived(state)));
  repair.selectQueue(fd, repair.QUEUE.SEND);
  repair.setQueueSequence(fd, entry.outqSeq - entry.outqLen - Number(finSent(state)));
  check(tryAddress('bind', fd, addressBytes(family, sourceOf(isk))), 'bind');
  check(tryAddress('connect', fd, addressBytes(family, destinationOf(isk))), 'connect');
  repair.writeNegotiated(fd, { ...entry, rcvWscale: entry.rcvWscale ?? 0 });
  if (entry.timestamp !== undefined) repair.setTimestamp(fd, entry.timestamp);
  repair.selectQueue(fd, repair.QUEUE.RECEIVE);
  withRoom(fd, isk, () => repair.fillQueue(fd, bytes.subarray(0, entry.inqLen)));
  writeWindows(fd, isk, entry);
}

/** Numbers count an end that has not come yet: no window was told for what lies behind it. */
function writeWindows(fd: number, { state }: InetSkEntry, entry: SavedStream['entry']): void {
  const { sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup, inqSeq } = entry;
  if (sndWl1 === undefined || sndWnd === undefined || maxWindow === undefined) return;
  if (rcvWnd === undefined || rcvWup === undefined) return;
  const early = Number(finReceived(state) && rcvWup === inqSeq);
  repair.writeWindows(fd, { sndWl1, sndWnd, maxWindow, rcvWnd, rcvWup: rcvWup - early });
}

function leaveRepair(fd: number, { opts }: InetSkEntry): void {
  repair.selectQueue(fd, repair.QUEUE.NONE);
  repair.setRepair(fd, false);
  trySetOption(fd, LEVEL.SOCKET, SO.REUSEADDR, intBytes(Number(opts.reuseaddr ?? false)));
}

function sendRest({ fd, isk, stream: { entry, bytes } }: Side): void {
  if (entry.outqLen === 0) return;
  withRoom(fd, isk, () => repair.fillQueue(fd, bytes.subarray(entry.inqLen)));
}
