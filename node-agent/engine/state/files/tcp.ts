// TCP: listeners and unconnected sockets come back as they were; connections come back reset (sockets.established: Close).
import { FdType, SkShutdown } from '../../image/messages/enums.ts';
import type { InetSkEntry } from '../../image/messages/sockets.ts';
import { type Finding, refusal } from '../../finding.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { check, LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import { networkOf } from '../../linux/network-namespace.ts';
import { tcpRemote } from '../../linux/procfs/tcp-table.ts';
import { POLL, pollNow, readableBytes } from '../../linux/readiness.ts';
import {
  AF,
  getOption,
  intBytes,
  LEVEL,
  listenSocket,
  SO,
  SOCK,
  tryAddress,
  trySetOption,
} from '../../linux/sockets.ts';
import type { ProcessSubject } from '../state-kind.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { addressBytes, addressText } from './inet-address.ts';
import { readTcpOptions, writeTcpOptions } from './inet-options.ts';
import {
  bindAgain,
  checkAddress,
  describeInet,
  destinationOf,
  makeInetSocket,
  setOptions,
} from './inet-socket.ts';
import type { OpenFile } from './open-file.ts';
import { withAddressHere } from './pod-address.ts';
import { closeUnconnected, resetConnection } from './tcp-reset.ts';
import { isConnected, TCP_STATE } from './tcp-state.ts';
import { TcpStreams } from './tcp-stream.ts';
import { StreamRestore } from './tcp-stream-restore.ts';
import { domainOf } from './unix-socket.ts';

const IPPROTO_TCP = 6;
/** What every Go server since 1.24 listens with; to whoever speaks plain TCP it is a plain TCP socket. */
const IPPROTO_MPTCP = 262;
const TCP_INFO = 11;
/** Places in `struct tcp_info`; of a listener: connections that wait, and how many may. */
const INFO = { state: 0, unacked: 24, sacked: 28 } as const;
const INFO_BYTES = 32;

/** Transport protocol of an internet socket, IPPROTO_*; undefined for any other file or type. */
export function inetProtocol(file: OpenFile, type: number): number | undefined {
  const domain = domainOf(file);
  if (domain !== AF.INET && domain !== AF.INET6) return undefined;
  return file.socket.type === type ? file.socket.protocol : undefined;
}

const PROTOCOLS: ReadonlySet<number | undefined> = new Set([IPPROTO_TCP, IPPROTO_MPTCP]);

export const tcp: FileKind = {
  name: 'tcp',

  recognises: (file) => PROTOCOLS.has(inetProtocol(file, SOCK.STREAM)),

  collect(file, dump) {
    const info = getOption(file.duplicate, LEVEL.TCP, TCP_INFO, INFO_BYTES);
    if (!info || info.length < INFO_BYTES) {
      return file.refuse('TcpUnreadable', 'the kernel does not tell its state');
    }
    const state = info.readUInt8(INFO.state);
    const backlog = state === TCP_STATE.LISTEN ? readBacklog(file, info, dump) : 0;
    const proto = inetProtocol(file, SOCK.STREAM) ?? IPPROTO_TCP;
    const isk: InetSkEntry = {
      ...describeInet(file, dump, {
        family: domainOf(file),
        type: SOCK.STREAM,
        proto,
        state,
        backlog,
      }),
      ...readTcpOptions(file.duplicate),
      ...(state === TCP_STATE.CLOSE && ending(file)),
      ...(state === TCP_STATE.SYN_SENT && wantedPeer(file)),
    };
    if (!ALONE.has(state)) saveConnection(file, isk, dump);
    return { type: FdType.INETSK, id: file.id, isk };
  },

  restores: ({ isk }) => isk !== undefined && PROTOCOLS.has(isk.proto),

  check(entry, target) {
    const { state, ino } = entry.isk!;
    const bound = state === TCP_STATE.LISTEN || state === TCP_STATE.CLOSE;
    return bound || target.saved.stream(ino) ? checkAddress(entry.isk!, target) : [];
  },

  open(entry, opening) {
    const isk = entry.isk!;
    return () => takeOver(isk, opening) ?? openAgain(isk, opening);
  },
};

/** Who is about to connect does so again, whatever becomes of connections. */
const ALONE: ReadonlySet<number> = new Set([TCP_STATE.LISTEN, TCP_STATE.CLOSE, TCP_STATE.SYN_SENT]);

function saveConnection(file: OpenFile, isk: InetSkEntry, dump: FileDump): void {
  const plain = isk.proto === IPPROTO_TCP && isConnected(isk.state);
  if (dump.options.connections && plain) {
    dump.options.connections.add(file, isk, dump);
    return;
  }
  if (dump.options.establishedSockets !== 'Keep' || !plain) {
    reportConnection(file, dump);
    return;
  }
  const network = networkOf(file.subject.process.pid);
  dump.once(`tcp streams ${network}`, () => new TcpStreams(dump)).add(file, isk);
}

function readBacklog(file: OpenFile, info: Buffer, dump: FileDump): number {
  const waiting = info.readUInt32LE(INFO.unacked);
  if (waiting > 0) reportWaiting(file, waiting, dump);
  return info.readUInt32LE(INFO.sacked);
}

/** getpeername(2) tells it only when the other side has answered. */
function wantedPeer({ subject, stat }: OpenFile): Pick<InetSkEntry, 'dstAddr' | 'dstPort'> {
  const remote = tcpRemote(subject.process.pid, stat.ino);
  if (!remote) throw new Error(`socket ${stat.ino} is in no table of its network namespace`);
  return { dstAddr: [...remote.words], dstPort: remote.port };
}

/** A socket without connection: was there one before? It reads the end then, or first the error that ended it. */
function ending(file: OpenFile): { shutdown?: number } {
  const events = pollNow(file.duplicate, POLL.IN | POLL.RDHUP);
  if (!(events & POLL.RDHUP)) return {};
  if (readableBytes(file.duplicate) > 0) {
    file.report('loss', 'TcpUnread', 'what the ended connection had still to read is not restored');
  }
  return { shutdown: events & POLL.ERR ? SkShutdown.NONE : SkShutdown.BOTH };
}

function reportWaiting(file: OpenFile, waiting: number, dump: FileDump): void {
  const { establishedSockets, skipInFlight } = dump.options;
  const left = establishedSockets === 'Close' || skipInFlight === true;
  const severity = left ? 'loss' : 'refusal';
  file.report(
    severity,
    'TcpWaiting',
    `${waiting} connections wait to be accepted; the restored listener does not have them`,
  );
}

/** Each connection is a refusal; where they may be closed, one line a process tells how many. */
function reportConnection(file: OpenFile, dump: FileDump): void {
  if (dump.options.establishedSockets !== 'Close') {
    file.refuse(
      'TcpEstablished',
      'it is connected: close the connection, or allow it to be reset (sockets.established: Close)',
    );
    return;
  }
  const counts = dump.once('tcp connections', () => countConnections(dump));
  counts.set(file.subject, (counts.get(file.subject) ?? 0) + 1);
}

function countConnections(dump: FileDump): Map<ProcessSubject, number> {
  const counts = new Map<ProcessSubject, number>();
  dump.whenAllKnown(() => {
    for (const [subject, count] of counts) subject.report(connectionsLost(subject, count));
  });
  return counts;
}

function connectionsLost({ process }: ProcessSubject, count: number): Finding {
  const advice = 'the restored application finds them reset; the source keeps them';
  return {
    ...refusal('TcpEstablished', process.nsPid, `${count} established TCP connections`, advice),
    severity: 'loss',
  };
}

/** The socket itself, where it went on; its options are those that it had. */
function takeOver(entry: InetSkEntry, opening: FileOpening): number | undefined {
  const { position } = entry;
  const fd = position && opening.carried.take({ ...entry, position });
  if (fd === undefined) return undefined;
  setOptions(fd, entry, opening);
  fcntl(fd, FCNTL.F_SETFL, O.RDWR | (entry.flags & O.NONBLOCK));
  writeTcpOptions(fd, entry);
  return fd;
}

function openAgain(saved: InetSkEntry, opening: FileOpening): number {
  const stream = opening.saved.stream(saved.ino);
  const fixed = stream !== undefined || isConnected(saved.state);
  const entry = fixed ? saved : withAddressHere(saved, opening.options);
  const { state, srcPort, backlog, shutdown } = entry;
  const fd = makeInetSocket(entry, opening);
  if (stream?.entry.paired === true) {
    opening.pairs.add({ fd, isk: entry, stream });
    return fd;
  }
  if (stream) {
    // Cork and the like come with the stream.
    opening.once('tcp streams', () => new StreamRestore(opening)).add({ fd, isk: entry, stream });
    return fd;
  }
  writeTcpOptions(fd, entry);
  if (state === TCP_STATE.SYN_SENT) {
    opening.whenPlaced(() => connectAgain(fd, entry, opening));
    return fd;
  }
  if (state !== TCP_STATE.LISTEN && (state !== TCP_STATE.CLOSE || shutdown !== undefined)) {
    const { connections } = opening.options;
    const error =
      state === TCP_STATE.CLOSE ? shutdown === SkShutdown.NONE : connections === 'reset';
    if (error) resetConnection(fd, entry.family, opening);
    else closeUnconnected(fd);
    return fd;
  }
  if (state === TCP_STATE.LISTEN) {
    if (sharesPort(entry, opening)) sharePort(fd, entry, opening);
    const result = bindAgain(fd, entry, () => listenSocket(fd, backlog));
    const object = `${addressText(entry.srcAddr)}:${srcPort}`;
    check(result, 'bind', { pid: opening.ownerOf(entry.id).saved.pid, object });
  } else if (srcPort !== 0) opening.whenPlaced(() => bindUnconnected(fd, entry, opening));
  return fd;
}

/** Listeners that were bound together by SO_REUSEPORT; some may have dropped the option since. */
const sharesPort = ({ id, srcPort, family }: InetSkEntry, { saved }: FileOpening): boolean =>
  [...saved.entries.values()].some(
    ({ isk }) =>
      isk?.state === TCP_STATE.LISTEN &&
      isk.id !== id &&
      isk.srcPort === srcPort &&
      isk.family === family,
  );

function sharePort(fd: number, { opts }: InetSkEntry, opening: FileOpening): void {
  trySetOption(fd, LEVEL.SOCKET, SO.REUSEPORT, intBytes(1));
  const before = intBytes(Number(opts.soReuseport ?? false));
  opening.whenPlaced(() => void trySetOption(fd, LEVEL.SOCKET, SO.REUSEPORT, before));
}

/** Begins a connection again that the other side had not answered; who waits for it goes on waiting. */
function connectAgain(fd: number, entry: InetSkEntry, opening: FileOpening): void {
  bindUnconnected(fd, entry, opening);
  const flags = fcntl(fd, FCNTL.F_GETFL);
  fcntl(fd, FCNTL.F_SETFL, flags | O.NONBLOCK);
  // What becomes of it the application hears from connect(2) or poll(2).
  tryAddress('connect', fd, addressBytes(entry.family, destinationOf(entry)));
  fcntl(fd, FCNTL.F_SETFL, flags);
}

/**
 * After the listeners have their ports: a connection that was reset shows the port of its listener without being bound
 * to it, and nothing tells the two apart.
 */
function bindUnconnected(fd: number, entry: InetSkEntry, opening: FileOpening): void {
  const result = bindAgain(fd, entry, () => undefined);
  if (result >= 0) return;
  const { errno } = new LinuxError('bind', -result);
  const builder = opening.ownerOf(entry.id);
  builder.report({
    code: 'TcpUnbound',
    severity: 'loss',
    pid: builder.saved.pid,
    object: `unconnected TCP socket of ${addressText(entry.srcAddr)}:${entry.srcPort}`,
    advice: `its port is taken (${errno}); a later connection uses another one`,
  });
}
