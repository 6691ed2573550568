// Moving descriptors between the engine and a tracee: out with pidfd_getfd, in with SCM_RIGHTS over a socket pair.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import {
  closeFd,
  MAX_RIGHTS,
  MSGHDR_BYTES,
  OwnedFd,
  pidfdGetfd,
  pidfdOpen,
  rightsBytes,
  sendFds,
} from '../linux/descriptors.ts';
import { RemoteBatch } from './remote-batch.ts';
import type { TracedProcess } from './traced-process.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0x80000;
const F_DUPFD_CLOEXEC = 1030;
const MSG_CMSG_CLOEXEC = 0x40000000;

/**
 * A private socket pair of one tracee. Its two descriptors are moved to `above` and higher, out of the way of the
 * application's own numbers; {@link close} takes them out again.
 */
export class FdChannel {
  readonly process: TracedProcess;
  readonly #here: OwnedFd;
  readonly #pidfd: OwnedFd;
  readonly #there: number;

  private constructor(process: TracedProcess, pidfd: OwnedFd, here: OwnedFd, there: number) {
    this.process = process;
    this.#pidfd = pidfd;
    this.#here = here;
    this.#there = there;
  }

  /** Its descriptor in the tracee. */
  get number(): number {
    return this.#there;
  }

  /** @param above lowest descriptor number that the application does not use */
  static open(process: TracedProcess, above: number): FdChannel {
    const batch = new RemoteBatch(process.leader);
    const pair = batch.space(8);
    batch.must(SYS.socketpair, AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair);
    batch.run();
    const [a, b] = [pair.int32(0), pair.int32(4)];
    const there = batch.must(SYS.fcntl, a, F_DUPFD_CLOEXEC, above);
    const out = batch.must(SYS.fcntl, b, F_DUPFD_CLOEXEC, above);
    batch.must(SYS.close, a);
    batch.must(SYS.close, b);
    batch.run();
    const pidfd = pidfdOpen(process.pid);
    const here = new OwnedFd(pidfdGetfd(pidfd, out.number, process.pid));
    batch.must(SYS.close, out.number);
    batch.run();
    return new FdChannel(process, pidfd, here, there.number);
  }

  /**
   * Puts descriptors of the engine into the tracee, close-on-exec.
   *
   * @returns their numbers there, in the same order
   */
  push(fds: readonly number[]): number[] {
    const numbers: number[] = [];
    for (let from = 0; from < fds.length; from += MAX_RIGHTS) {
      const part = fds.slice(from, from + MAX_RIGHTS);
      sendFds(this.#here.fd, part);
      numbers.push(...this.#receive(part.length));
    }
    return numbers;
  }

  #receive(count: number): number[] {
    const batch = new RemoteBatch(this.process.leader);
    const payload = batch.space(8);
    const control = batch.space(rightsBytes(count));
    const vector = batch.bytes(words(payload.address, 1n));
    const header = batch.bytes(
      Buffer.concat([
        words(0n, 0n, vector.address, 1n, control.address, BigInt(control.length), 0n),
        Buffer.alloc(MSGHDR_BYTES - 56),
      ]),
    );
    const got = batch.must(SYS.recvmsg, this.#there, header, MSG_CMSG_CLOEXEC);
    batch.run();
    const bytes = Number(control.word(0)) - 16;
    if (got.value !== 1n || bytes !== count * 4) {
      throw new LinuxError('remote recvmsg(SCM_RIGHTS)', 24, { pid: this.process.pid });
    }
    return Array.from({ length: count }, (_, i) => control.int32(16 + i * 4));
  }

  /** Copies a descriptor of the tracee into the engine. */
  pull(fd: number): number {
    return pidfdGetfd(this.#pidfd, fd, this.process.pid);
  }

  /** Closes both ends, the tracee's through a last batch. */
  close(): void {
    const batch = new RemoteBatch(this.process.leader);
    batch.must(SYS.close, this.#there);
    batch.run();
    closeFd(this.#here.fd);
    closeFd(this.#pidfd.fd);
  }
}

function words(...values: bigint[]): Buffer {
  const out = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    out.writeBigUInt64LE(value, i * 8);
  });
  return out;
}
