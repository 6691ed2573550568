// Established TCP connections, kept: locked, read through TCP_REPAIR, and left as they were. Only with `Keep`.
import { IMAGES } from '../../image/image-files.ts';
import type { InetSkEntry, TcpStreamEntry } from '../../image/messages/sockets.ts';
import { ConnectionLock, LOCK_TOOLS } from '../../linux/connection-lock.ts';
import { closeFd, pidfdGetfd, pidfdOpen } from '../../linux/descriptors.ts';
import { readableBytes } from '../../linux/readiness.ts';
import { intBytes, LEVEL, SO, trySetOption } from '../../linux/sockets.ts';
import * as repair from '../../linux/tcp-repair.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';
import { connectionOf, type ReadStream } from './tcp-pairs.ts';
import { finUnacknowledged } from './tcp-state.ts';

interface Stream {
  readonly file: OpenFile;
  readonly isk: InetSkEntry;
}

/** The connections of one tree in one network namespace. */
export class TcpStreams {
  readonly #dump: FileDump;
  readonly #streams: Stream[] = [];
  #lock: ConnectionLock | undefined;

  constructor(dump: FileDump) {
    this.#dump = dump;
    dump.whenAllKnown(() => this.#save());
    dump.whenDone({ beforeEnd: () => this.#silence(), release: () => this.#release() });
  }

  add(file: OpenFile, isk: InetSkEntry): void {
    this.#streams.push({ file, isk });
  }

  /**
   * Events that would make a copy wrong:
   * 1. a segment that arrives behind the look at a queue would be acknowledged, and known to nobody: so the lock is first;
   * 2. an application that is ended would say so to the other side: so the lock stays, and the silence comes before.
   */
  #save(): void {
    const [first] = this.#streams;
    if (!first) return;
    const { options } = this.#dump;
    const pid = first.file.subject.process.pid;
    const connections = this.#streams.map(({ isk }) => connectionOf(isk));
    const tools = options.lockTool ? [options.lockTool] : LOCK_TOOLS;
    this.#lock = ConnectionLock.take(pid, connections, tools);
    const { name } = this.#lock;
    try {
      const saved = this.#streams.map(({ file, isk }) => ({
        ino: isk.ino,
        ...readStream(file.duplicate, isk),
      }));
      this.#dump.afterThaw((images) => {
        for (const { ino, entry, bytes } of saved)
          images.append(IMAGES.tcpStream(ino), { ...entry, lock: name }, bytes);
      });
    } finally {
      if (options.afterDump !== 'Kill') this.#release();
    }
  }

  /** The point of no return: the sockets end without a word, and the lock stays for the restore. */
  #silence(): void {
    for (const { file } of this.#streams) {
      using pidfd = pidfdOpen(file.source.pid);
      const fd = pidfdGetfd(pidfd, file.source.fd, file.source.pid);
      repair.setRepair(fd, true);
      closeFd(fd);
    }
    this.#lock?.leave();
    this.#lock = undefined;
  }

  /** Lets the connections go on. */
  #release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }
}

/**
 * In and out of repair within some 50 us: whoever ends this process in between leaves the connection broken.
 *
 * @throws QueueChangedError when something arrived meanwhile
 */
export function readStream(fd: number, isk: InetSkEntry): ReadStream {
  repair.setRepair(fd, true);
  try {
    return readQueues(fd, isk);
  } finally {
    repair.selectQueue(fd, repair.QUEUE.NONE);
    repair.setRepair(fd, false);
    trySetOption(fd, LEVEL.SOCKET, SO.REUSEADDR, intBytes(Number(isk.opts.reuseaddr ?? false)));
  }
}

/** Sequence numbers are the kernel's: a FIN counts, though no queue shows it. */
function readQueues(fd: number, { state, tcpOpts }: InetSkEntry): ReadStream {
  const ourFin = Number(finUnacknowledged(state));
  const pending = Math.max(0, repair.unacknowledged(fd) - ourFin);
  const unsent = Math.max(0, repair.unsent(fd) - ourFin);
  const inqLen = readableBytes(fd);
  repair.selectQueue(fd, repair.QUEUE.RECEIVE);
  const inqSeq = repair.queueSequence(fd);
  const received = repair.peekQueue(fd, inqLen);
  repair.selectQueue(fd, repair.QUEUE.SEND);
  const outqSeq = repair.queueSequence(fd);
  const sending = repair.peekQueue(fd, pending);
  const entry: TcpStreamEntry = {
    inqLen,
    inqSeq,
    outqLen: pending,
    outqSeq,
    unsqLen: Math.min(unsent, pending),
    ...repair.readNegotiated(fd),
    timestamp: repair.timestamp(fd),
    cork: tcpOpts?.cork ?? false,
    nodelay: tcpOpts?.nodelay ?? false,
    ...repair.readWindows(fd),
  };
  return { entry, bytes: Buffer.concat([received, sending]) };
}
