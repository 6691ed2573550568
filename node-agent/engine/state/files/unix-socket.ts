// Unix sockets: pairs, connections through names, listeners and who waits there, datagrams; what is still to be read.
import { FdType, SkShutdown, UnixFlag, UnixState } from '../../image/messages/enums.ts';
import type { FilePermsEntry, UnixSkEntry } from '../../image/messages/sockets.ts';
import { decodeText } from '../../image/text.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { type FileStat, readLink, statBelow } from '../../linux/file-facts.ts';
import { inNetworkOf, networkOf } from '../../linux/network-namespace.ts';
import { AF, SOCK, unixSocketFile } from '../../linux/sockets.ts';
import { type UnixSocketFacts, unixSockets } from '../../linux/unix-diag.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { OpenFile } from './open-file.ts';
import { NO_OWNER, ownerOf } from './owner.ts';
import { readOptions } from './socket-options.ts';
import { saveQueue } from './unix-queue.ts';
import { UnixSockets } from './unix-restore.ts';

const DELETED = ' (deleted)';
const PERMISSIONS = 0o7777;

/** Domain of a socket, AF_*; a number that nobody has for anything else. */
export const domainOf = (file: OpenFile): number =>
  file.link.startsWith('socket:[') ? file.socket.domain : -1;

export const unixSocket: FileKind = {
  name: 'unix-socket',

  recognises: (file) => domainOf(file) === AF.UNIX,

  collect(file, dump) {
    const { pid } = file.subject.process;
    const network = dump.once(`network of ${pid}`, () => networkOf(pid));
    const sockets = dump.once(`unix sockets of ${network}`, () => inNetworkOf(pid, unixSockets));
    const facts = sockets.get(Number(file.stat.ino & 0xffffffffn));
    if (!facts) {
      return file.refuse('UnixForeignNetwork', 'it belongs to another network namespace');
    }
    const entry = describe(file, facts, dump);
    // A stream's bytes are counted in the list; of datagrams, which may be empty, only poll(2) tells.
    const isEmpty = facts.type === SOCK.STREAM && facts.receiveQueue === 0;
    if (facts.state !== UnixState.LISTEN && !isEmpty) {
      saveQueue(file, facts.type, (facts.shutdown & SkShutdown.READ) !== 0, dump);
    }
    dump.whenAllKnown(() => {
      refuseStrangers(file, facts, dump);
      const peer = findPeer(file, facts, sockets, dump);
      if (peer !== 0) {
        dump.registry.put({ type: FdType.UNIXSK, id: file.id, usk: { ...entry, peer } });
      }
    });
    return { type: FdType.UNIXSK, id: file.id, usk: entry };
  },

  restores: (entry) => entry.usk !== undefined,

  open(entry, opening) {
    return () => {
      const sockets = opening.once('unix sockets', () => UnixSockets.open(opening));
      return sockets.take(entry.id);
    };
  },
};

function describe(file: OpenFile, facts: UnixSocketFacts, dump: FileDump): UnixSkEntry {
  const { name } = facts;
  return {
    id: file.id,
    ino: facts.ino,
    type: facts.type,
    state: facts.state,
    flags: file.info.flags,
    uflags: 0,
    backlog: facts.state === UnixState.LISTEN ? facts.sendQueue : 0,
    peer: 0,
    fown: ownerOf(file),
    opts: readOptions(file, dump),
    name: name ?? new Uint8Array(0),
    ...(facts.shutdown !== 0 && { shutdown: facts.shutdown }),
    ...(name && name[0] !== 0 && boundFile(file, name, facts, dump)),
  };
}

/** The file that a name leads to: its rights, where a relative name starts, whether it is gone. */
function boundFile(
  file: OpenFile,
  name: Buffer,
  facts: UnixSocketFacts,
  dump: FileDump,
): { filePerms?: FilePermsEntry; nameDir?: string; deleted?: boolean } {
  const handle = unixSocketFile(file.duplicate);
  if (handle === undefined) return { deleted: true };
  const path = readLink(`/proc/self/fd/${handle}`);
  closeFd(handle);
  const text = trimName(name);
  const found = statBelow(dump.registry.roots.of(file.subject.process.pid), path);
  const present = found !== undefined && isBoundTo(found, facts);
  const real = path.endsWith(DELETED) && !present ? path.slice(0, -DELETED.length) : path;
  const relative = !text.startsWith('/') && real.endsWith(`/${text}`);
  return {
    ...(present && { filePerms: permissions(found) }),
    ...(relative && { nameDir: real.slice(0, -text.length - 1) || '/' }),
    ...(!present && { deleted: true }),
  };
}

/** sun_path up to its NUL. */
function trimName(name: Buffer): string {
  const end = name.indexOf(0);
  return decodeText(end < 0 ? name : name.subarray(0, end));
}

const isBoundTo = (found: FileStat, { file }: UnixSocketFacts): boolean =>
  file !== undefined && found.ino === BigInt(file.ino) && found.dev === file.dev;

const permissions = ({ mode, uid, gid }: FileStat): FilePermsEntry => ({
  mode: mode & PERMISSIONS,
  uid,
  gid,
});

/** Who waits to be accepted must be somebody who can connect again. */
function refuseStrangers(file: OpenFile, { waiting }: UnixSocketFacts, dump: FileDump): void {
  if (waiting.every((ino) => ino !== 0 && fileOf(ino, dump))) return;
  file.refuse(
    'UnixPeerOutside',
    'a connection waits to be accepted whose client is closed or outside the saved tree: let the application accept it',
  );
}

/** @returns inode of a named peer, which is noted as an outsider; 0 when the connection is lost */
function leaveOut(
  file: OpenFile,
  facts: UnixSocketFacts,
  sockets: ReadonlyMap<number, UnixSocketFacts>,
  dump: FileDump,
): number {
  const peer = sockets.get(facts.peer);
  if (!isNamedDatagram(peer)) {
    file.report(
      'loss',
      'UnixPeerOutside',
      'its peer is outside the saved tree: the restored application finds the connection closed',
    );
    return 0;
  }
  return noteOutsider(file, peer.ino, peer, dump);
}

interface Outsider {
  readonly type: number;
  readonly state: number;
  readonly name: Uint8Array;
}

/** CRIU takes an outsider without a name for a datagram socket, whatever it is. */
const NAMELESS: Outsider = {
  type: SOCK.DGRAM,
  state: UnixState.LISTEN,
  name: new Uint8Array(0),
};

/** Only such a peer can be found again. */
const isNamedDatagram = (peer: UnixSocketFacts | undefined): peer is UnixSocketFacts & Outsider =>
  peer?.type === SOCK.DGRAM && peer.name !== undefined;

/**
 * A message of its own for a peer that is not saved.
 *
 * @param file whose peer it is
 * @returns its inode
 */
function noteOutsider(file: OpenFile, ino: number, outsider: Outsider, dump: FileDump): number {
  const { type, state, name } = outsider;
  dump.once(`outside unix socket ${ino}`, () => {
    const id = dump.registry.allocate();
    const opts = readOptions(file, dump);
    const usk = {
      id,
      ino,
      type,
      state,
      flags: 0,
      uflags: UnixFlag.EXTERN,
      backlog: 0,
      peer: 0,
      fown: NO_OWNER,
      opts,
      name,
    };
    dump.registry.put({ type: FdType.UNIXSK, id, usk });
  });
  return ino;
}

const fileOf = (ino: number, dump: FileDump): OpenFile | undefined =>
  dump.filesOf(`socket:[${ino}]`)[0];

/** Inode of the peer, of the listener that has not accepted it yet, or 0. */
function findPeer(
  file: OpenFile,
  facts: UnixSocketFacts,
  sockets: ReadonlyMap<number, UnixSocketFacts>,
  dump: FileDump,
): number {
  if (facts.peer !== 0) {
    if (fileOf(facts.peer, dump)) return facts.peer;
    if (dump.registry.externals.isUnixSocket(facts.ino)) {
      const peer = sockets.get(facts.peer);
      return noteOutsider(file, facts.peer, isNamedDatagram(peer) ? peer : NAMELESS, dump);
    }
    if (dump.options.outsidePeers === 'Ignore') return leaveOut(file, facts, sockets, dump);
    file.refuse(
      'UnixPeerOutside',
      'it is connected to a process outside the saved tree: close the connection, or save that process too',
    );
    return 0;
  }
  if (facts.type === SOCK.DGRAM || facts.state !== UnixState.ESTABLISHED) return 0;
  const listener = [...sockets.values()].find(({ waiting }) => waiting.includes(facts.ino));
  if (!listener) return 0;
  if (!fileOf(listener.ino, dump)) {
    file.refuse(
      'UnixPeerOutside',
      'a process outside the saved tree is to accept it: wait for that',
    );
  } else if (facts.sendQueue > 0) {
    file.refuse(
      'UnixPendingData',
      'it sent data that lies in a connection nobody has accepted yet: let the listener accept it',
    );
  }
  return listener.ino;
}
