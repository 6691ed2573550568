// Established TCP connections with both sides in the same dump, whichever trees they are in. They need no lock: nobody else sends
// to them, and what the kernel itself still delivers is waited for. Of others only the position is noted. Only with `KeepPairs`.
import { type Finding, refusal } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import type { Connection } from '../../linux/connection-lock.ts';
import { closeFd, duplicateHere } from '../../linux/descriptors.ts';
import { networkOf } from '../../linux/network-namespace.ts';
import { connectionState, QueueChangedError } from '../../linux/tcp-repair.ts';
import { sleepMillis } from '../../tracee/deadline.ts';
import type { ProcessSubject } from '../state-kind.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';
import {
  connectionOf,
  connectionText,
  isSame,
  type Look,
  pairsOf,
  type ReadStream,
  settle,
} from './tcp-pairs.ts';
import { isConnected } from './tcp-state.ts';
import { readPosition } from './tcp-position.ts';
import { lookAtQuietPair } from './tcp-quiet-pair.ts';
import { readStream } from './tcp-stream.ts';

/** What is under way over loopback arrives within microseconds, on a busy node within a time slice. */
const LOOKS = 60;
const LOOKS_WITHOUT_PAUSE = 20;

interface Side {
  readonly network: string;
  readonly connection: Connection;
  readonly file: OpenFile;
  readonly dump: FileDump;
  readonly isk: InetSkEntry;
  /** the engine's own, until {@link PairedConnections.save} */
  readonly fd: number;
  saved: ReadStream | undefined;
}

/** The connections of all trees of one dump. */
export class PairedConnections implements Disposable {
  readonly #sides: Side[] = [];
  readonly #goOn: boolean;
  readonly #outside: string[] = [];

  /** @param goOn the application runs on after the dump, and may be rewound */
  constructor(goOn: boolean) {
    this.#goOn = goOn;
  }

  /** Connections that only the running pod keeps, for people. */
  get outside(): readonly string[] {
    return this.#outside;
  }

  /** In the freeze. */
  add(file: OpenFile, isk: InetSkEntry, dump: FileDump): void {
    const side: Side = {
      network: networkOf(file.subject.process.pid),
      connection: connectionOf(isk),
      file,
      dump,
      isk,
      fd: duplicateHere(file.duplicate),
      saved: undefined,
    };
    this.#sides.push(side);
    dump.afterThaw((images) => {
      if (side.saved) images.append(IMAGES.tcpStream(isk.ino), side.saved.entry, side.saved.bytes);
    });
  }

  /**
   * In the freeze, when all trees are known. What cannot be kept is a refusal.
   *
   * @param dryRun no queue is read: a connection may be of no use to its application while it is
   */
  save(dryRun: boolean): void {
    try {
      const networks = Map.groupBy(this.#sides, ({ network }) => network);
      const found = [...networks.values()].map((sides) => pairsOf(sides));
      this.#saveAlone(found.flatMap(({ alone }) => alone));
      if (dryRun) return;
      for (const pair of found.flatMap(({ pairs }) => pairs)) savePair(pair);
    } finally {
      this[Symbol.dispose]();
    }
  }

  #saveAlone(alone: readonly Side[]): void {
    const counts = new Map<ProcessSubject, number>();
    for (const side of alone) {
      if (!this.#goOn) refuseAlone(side);
      else if (notePosition(side)) {
        const { subject } = side.file;
        counts.set(subject, (counts.get(subject) ?? 0) + 1);
        this.#outside.push(connectionText(side.connection));
      }
    }
    for (const [subject, count] of counts) subject.report(connectionsStay(subject, count));
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#sides.splice(0)) closeFd(fd);
  }
}

/** @returns false after a refusal */
function notePosition({ fd, file, dump, isk, connection }: Side): boolean {
  const position = readPosition(fd);
  if (!position) {
    const advice = 'and ends or does not come to rest: try again';
    file.refuse('TcpUnsettled', `it is connected, ${connectionText(connection)}, ${advice}`);
    return false;
  }
  dump.registry.put({ type: FdType.INETSK, id: file.id, isk: { ...isk, position } });
  return true;
}

function connectionsStay({ process }: ProcessSubject, count: number): Finding {
  const advice =
    'their other sides are outside of the pod: only a rewind of the running pod keeps them, a restore elsewhere is refused';
  const object = `${count} established TCP connections`;
  return { ...refusal('TcpLeavesPod', process.nsPid, object, advice), severity: 'note' };
}

function refuseAlone({ file, connection }: Side): void {
  const advice =
    'its other side is none of the saved processes, and the pod does not run on: close it, or let it be reset (sockets.established: Close)';
  file.refuse('TcpLeavesPod', `it is connected, ${connectionText(connection)}, ${advice}`);
}

/** The processes stand still: two looks that show the same numbers on both sides show them at the same moment. */
function savePair([a, b]: readonly [Side, Side]): void {
  const quiet = lookAtQuietPair(a, b);
  if (quiet && takeBoth([a, b], quiet)) return;
  let before: readonly [Look, Look] | undefined;
  for (let count = 0; count < LOOKS; count++) {
    if (count > LOOKS_WITHOUT_PAUSE) sleepMillis(1);
    const now = lookAtBoth(a, b);
    if (now && before && isSame(now[0], before[0]) && isSame(now[1], before[1])) {
      if (takeBoth([a, b], now)) return;
    }
    before = now;
  }
  const advice = 'its bytes do not come to rest: try again';
  a.file.refuse('TcpUnsettled', `it is connected, ${connectionText(a.connection)}, and ${advice}`);
}

function takeBoth([a, b]: readonly [Side, Side], looks: readonly [Look, Look]): boolean {
  const settled = settle(...looks);
  if (!settled) return false;
  take(a, looks[0], settled[0]);
  take(b, looks[1], settled[1]);
  return true;
}

/** Its state may be a later one than when it was found. */
function take(side: Side, { state }: Look, saved: ReadStream): void {
  const { file, dump, isk } = side;
  side.saved = saved;
  if (state === isk.state) return;
  dump.registry.put({ type: FdType.INETSK, id: file.id, isk: { ...isk, state } });
}

function lookAtBoth(a: Side, b: Side): readonly [Look, Look] | undefined {
  const [left, right] = [lookAt(a), lookAt(b)];
  return left && right && [left, right];
}

function lookAt({ fd, isk }: Side): Look | undefined {
  const state = connectionState(fd);
  if (!isConnected(state)) return undefined;
  try {
    const stream = readStream(fd, { ...isk, state });
    return connectionState(fd) === state ? { state, stream } : undefined;
  } catch (error) {
    if (error instanceof QueueChangedError) return undefined;
    throw error;
  }
}
