// Calls on unix sockets inside the processes that had them: the kernel notes who calls (SO_PEERCRED) and where a name starts.
import { SYS } from '../../arch/x86-64.ts';
import type { UnixSkEntry } from '../../image/messages/sockets.ts';
import { encodeText } from '../../image/text.ts';
import { LinuxError } from '../../linux/error.ts';
import { changeDirectory, inMountsOf } from '../../linux/mount-namespace.ts';
import { AF, bindSocket, SOCK } from '../../linux/sockets.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { RemoteBatch } from '../../tracee/remote-batch.ts';
import type { FileOpening } from './file-opening.ts';

const AT_FDCWD = -100;
const O_PATH_CLOEXEC_DIRECTORY = 0o12200000;
/** int[2] */
const PAIR_BYTES = 8;
const CALLS = 8;
const ROOM_BYTES = 8192;

/** A socket on the way: in the process that makes it, and in the engine. */
export interface MadeSocket {
  readonly builder: ProcessBuilder;
  /** descriptor in that process until all sockets are made */
  readonly number: number;
  /** the engine's */
  readonly fd: number;
}

export interface WantedPair {
  readonly builder: ProcessBuilder;
  readonly type: number;
}

/** A bound name and the directory that a relative one starts in. */
export type SocketName = Pick<UnixSkEntry, 'name' | 'nameDir'>;

export class RemoteSockets {
  readonly #opening: FileOpening;
  readonly #made: MadeSocket[] = [];

  constructor(opening: FileOpening) {
    this.#opening = opening;
  }

  #take(builder: ProcessBuilder, number: number): MadeSocket {
    const made = { builder, number, fd: this.#opening.pull(builder, number) };
    this.#made.push(made);
    return made;
  }

  socket(builder: ProcessBuilder, type: number): MadeSocket {
    builder.makeRoom(1, 0);
    const result = builder.batch.must(SYS.socket, AF.UNIX, type | SOCK.CLOEXEC, 0);
    builder.flush();
    return this.#take(builder, result.number);
  }

  /** All at once: each process makes all of its pairs in one batch. */
  pairs(wanted: readonly WantedPair[]): [MadeSocket, MadeSocket][] {
    const queued = wanted.map(({ builder, type }) => {
      builder.makeRoom(1, PAIR_BYTES);
      const { batch } = builder;
      const both = batch.space(PAIR_BYTES);
      batch.must(SYS.socketpair, AF.UNIX, type | SOCK.CLOEXEC, 0, both);
      return { builder, both };
    });
    for (const builder of new Set(wanted.map((pair) => pair.builder))) builder.flush();
    return queued.map(({ builder, both }) => [
      this.#take(builder, both.int32(0)),
      this.#take(builder, both.int32(4)),
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

  listen({ builder, number }: MadeSocket, backlog: number): void {
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.listen, number, backlog);
    builder.flush();
  }

  /** Takes a connection that waits already. */
  accept({ builder, number }: MadeSocket): MadeSocket {
    builder.makeRoom(1, 0);
    const result = builder.batch.must(SYS.accept4, number, 0, 0, SOCK.CLOEXEC);
    builder.flush();
    return this.#take(builder, result.number);
  }

  /** Closes what the processes hold; the engine keeps its own. */
  closeRemote(): void {
    for (const { builder, number } of this.#made.splice(0)) {
      builder.makeRoom(1, 0);
      builder.batch.must(SYS.close, number);
    }
  }
}

const addressOf = ({ name }: SocketName): Buffer =>
  Buffer.concat([Buffer.from([AF.UNIX, 0]), name]);

function callWithName(nr: number, { builder, number }: MadeSocket, name: SocketName): void {
  builder.makeRoom(CALLS, ROOM_BYTES);
  const { batch } = builder;
  const address = addressOf(name);
  const data = batch.bytes(address);
  const call = (): void => void batch.must(nr, number, data, address.length);
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
