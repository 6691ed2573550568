// Calls on unix sockets inside the processes that had them: the kernel notes who calls (SO_PEERCRED) and where a name starts.
import { SYS } from '../../arch/x86-64.ts';
import { SkShutdown } from '../../image/messages/enums.ts';
import type { UnixSkEntry } from '../../image/messages/sockets.ts';
import { encodeText } from '../../image/text.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { changeDirectory, inMountsOf } from '../../linux/mount-namespace.ts';
import { AF, bindSocket, SHUT, SOCK } from '../../linux/sockets.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { RemoteBatch } from '../../tracee/remote-batch.ts';
import type { RemoteResult } from '../../tracee/remote-word.ts';
import type { FileOpening } from './file-opening.ts';
import { fileSystemIds } from './remote-open.ts';
import { socketPath } from './unix-plan.ts';

const AT_FDCWD = -100;
const O_PATH_CLOEXEC_DIRECTORY = 0o12200000;
/** int[2] */
const PAIR_BYTES = 8;
const CALLS = 8;
const ROOM_BYTES = 8192;

/** A socket on the way: in the process that makes it, and in the engine where somebody asks for it there. */
export class MadeSocket {
  readonly builder: ProcessBuilder;
  /** descriptor in that process until all sockets are made; as an argument of calls there */
  readonly there: number | RemoteResult;
  readonly closeOnExec: boolean;
  readonly #opening: FileOpening;
  #engineFd: number | undefined;

  constructor(
    opening: FileOpening,
    { builder, there, closeOnExec }: Pick<MadeSocket, 'builder' | 'there' | 'closeOnExec'>,
  ) {
    this.#opening = opening;
    this.builder = builder;
    this.there = there;
    this.closeOnExec = closeOnExec;
  }

  get number(): number {
    if (typeof this.there === 'number') return this.there;
    if (!this.there.known) this.builder.flush();
    return this.there.number;
  }

  /** The engine's. */
  get fd(): number {
    return (this.#engineFd ??= this.#opening.pull(this.builder, this.number));
  }

  /** Undefined while nobody has asked for it. */
  get engineFd(): number | undefined {
    return this.#engineFd;
  }

  closeEngineFd(): void {
    if (this.#engineFd !== undefined) closeFd(this.#engineFd);
    this.#engineFd = undefined;
  }

  /** @param bits SkShutdown */
  shutDown(bits: number): void {
    const one = bits === SkShutdown.READ ? SHUT.RD : SHUT.WR;
    this.must(SYS.shutdown, bits === SkShutdown.BOTH ? SHUT.RDWR : one);
  }

  /** Queues a call on it. */
  must(nr: number, ...args: readonly number[]): void {
    this.builder.makeRoom(1, 0);
    this.builder.batch.must(nr, this.there, ...args);
  }
}

export interface WantedPair {
  readonly builder: ProcessBuilder;
  readonly type: number;
  readonly closeOnExec: boolean;
}

/** A bound name and the directory that a relative one starts in. */
export type SocketName = Pick<UnixSkEntry, 'name' | 'nameDir'>;

export class RemoteSockets {
  readonly #opening: FileOpening;
  readonly #made: MadeSocket[] = [];

  constructor(opening: FileOpening) {
    this.#opening = opening;
  }

  #note(
    builder: ProcessBuilder,
    there: number | RemoteResult,
    closeOnExec: boolean = true,
  ): MadeSocket {
    const made = new MadeSocket(this.#opening, { builder, there, closeOnExec });
    this.#made.push(made);
    return made;
  }

  socket(builder: ProcessBuilder, type: number): MadeSocket {
    builder.makeRoom(1, 0);
    return this.#note(builder, builder.batch.must(SYS.socket, AF.UNIX, type | SOCK.CLOEXEC, 0));
  }

  /** All at once: each process makes all of its pairs in one batch. */
  pairs(wanted: readonly WantedPair[]): [MadeSocket, MadeSocket][] {
    const queued = wanted.map(({ builder, type, closeOnExec }) => {
      builder.makeRoom(1, PAIR_BYTES);
      const { batch } = builder;
      const both = batch.space(PAIR_BYTES);
      batch.must(SYS.socketpair, AF.UNIX, type | (closeOnExec ? SOCK.CLOEXEC : 0), 0, both);
      return { builder, both, closeOnExec };
    });
    for (const builder of new Set(wanted.map((pair) => pair.builder))) builder.flush();
    return queued.map(({ builder, both, closeOnExec }) => [
      this.#note(builder, both.int32(0), closeOnExec),
      this.#note(builder, both.int32(4), closeOnExec),
    ]);
  }

  /** Where the process may not make the name any more, the engine makes it. */
  bind(socket: MadeSocket, name: SocketName): void {
    try {
      callWithName(SYS.bind, socket, name);
    } catch (error) {
      if (!(error instanceof LinuxError) || error.errno !== 'EACCES') throw error;
      inMountsOf(socket.builder.process.pid, () => {
        if (name.nameDir !== undefined) changeDirectory(name.nameDir);
        bindSocket(socket.fd, addressOf(name));
      });
    }
  }

  connect(socket: MadeSocket, name: SocketName): void {
    callWithName(SYS.connect, socket, name);
  }

  /** Connects to a name of somebody outside of the tree, who may be gone. */
  connectOutside(socket: MadeSocket, name: UnixSkEntry): void {
    try {
      this.connect(socket, name);
    } catch (error) {
      socket.builder.report({
        code: 'UnixPeerMissing',
        severity: 'loss',
        pid: socket.builder.saved.pid,
        object: `unix socket connected to ${socketPath(name) ?? 'an abstract name'}`,
        advice: `it is restored unconnected (${error instanceof LinuxError ? error.errno : String(error)})`,
      });
    }
  }

  /** At once: whoever connects next may be another process. */
  listen(socket: MadeSocket, backlog: number): void {
    socket.must(SYS.listen, backlog);
    socket.builder.flush();
  }

  /** Takes a connection that waits already. */
  accept({ builder, there }: MadeSocket): MadeSocket {
    builder.makeRoom(1, 0);
    const result = builder.batch.must(SYS.accept4, there, 0, 0, SOCK.CLOEXEC);
    builder.flush();
    return this.#note(builder, result);
  }

  /** Makes the user its owner that its process has, or will have. In a pod it is that user who makes it. */
  give(socket: MadeSocket, id: number): void {
    const owner = this.#opening.ownerOf(id);
    if (owner.birth === 'standalone') {
      const [uid, gid] = fileSystemIds(owner);
      if (uid !== 0 || gid !== 0) socket.must(SYS.fchown, uid, gid);
    } else if (owner !== socket.builder) this.#opening.giveTo(id, socket.fd);
  }

  /** Runs what is queued on sockets. */
  flush(): void {
    for (const builder of new Set(this.#made.map((made) => made.builder))) builder.flush();
  }

  /** Closes what the processes hold but for those that stay. */
  closeRemote(staying: ReadonlySet<MadeSocket>): void {
    for (const made of this.#made.splice(0)) if (!staying.has(made)) made.must(SYS.close);
  }
}

const addressOf = ({ name }: SocketName): Buffer =>
  Buffer.concat([Buffer.from([AF.UNIX, 0]), name]);

function callWithName(nr: number, { builder, there }: MadeSocket, name: SocketName): void {
  builder.makeRoom(CALLS, ROOM_BYTES);
  const { batch } = builder;
  const address = addressOf(name);
  const data = batch.bytes(address);
  const call = (): void => void batch.must(nr, there, data, address.length);
  const relative = name.name[0] !== 0 && name.name[0] !== 0x2f;
  if (relative && name.nameDir !== undefined) inDirectory(batch, name.nameDir, call);
  else call();
  builder.flush();
}

function inDirectory(batch: RemoteBatch, directory: string, call: () => void): void {
  const path = (text: string) => batch.bytes(Buffer.concat([encodeText(text), Buffer.alloc(1)]));
  const before = batch.must(SYS.openat, AT_FDCWD, path('.'), O_PATH_CLOEXEC_DIRECTORY, 0);
  batch.must(SYS.chdir, path(directory));
  call();
  batch.must(SYS.fchdir, before);
  batch.must(SYS.close, before);
}
