// The descriptors of one process that is being rebuilt: received from the engine, moved to their numbers, the rest closed.
import { readdirSync } from 'node:fs';
import { SYS } from '../../arch/x86-64.ts';
import type { FdinfoEntry } from '../../image/messages/files.ts';
import { FCNTL, MAX_RIGHTS } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { readProc } from '../../linux/procfs/read.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import { FdChannel } from '../../tracee/fd-channel.ts';
import { type SpareNumbers, spareNumbers } from './numbers.ts';
import { type Move, planMoves, type Step } from './placement.ts';

const FD_CLOEXEC = 1;

export class DescriptorTable {
  readonly #builder: ProcessBuilder;
  readonly #wanted: readonly FdinfoEntry[];
  readonly #closeOnExec: ReadonlySet<number>;
  readonly #numbers: SpareNumbers;
  readonly #channel: FdChannel;

  constructor(builder: ProcessBuilder) {
    const { process, saved } = builder;
    this.#builder = builder;
    this.#wanted = saved.fdinfo;
    this.#closeOnExec = new Set(saved.fdinfo.filter((e) => e.flags & FD_CLOEXEC).map((e) => e.fd));
    this.#numbers = spareNumbers(new Set(saved.fdinfo.map((e) => e.fd)), limitOf(process.pid));
    builder.flush();
    this.#channel = FdChannel.open(process, this.#numbers.channel);
  }

  /** Copies a descriptor of the process into the engine; what is queued for the process stays queued. */
  pull(fd: number): number {
    return this.#channel.pull(fd);
  }

  /** Puts descriptors of the engine into the process, close-on-exec, at the lowest free numbers. */
  push(fds: readonly number[]): number[] {
    this.#builder.flush();
    return this.#channel.push(fds);
  }

  /**
   * Gives the process what it had, at the numbers it had.
   *
   * @param engineFd the engine's descriptor of a file
   */
  place(engineFd: (id: number) => number): void {
    const numbersOf = Map.groupBy(this.#wanted, ({ id }) => id);
    const ids = [...numbersOf.keys()];
    for (let from = 0; from < ids.length; from += MAX_RIGHTS) {
      const part = ids.slice(from, from + MAX_RIGHTS);
      const received = this.push(part.map(engineFd));
      const moves = part.flatMap((id, i) =>
        (numbersOf.get(id) ?? []).map(({ fd }) => ({ from: received[i] as number, to: fd })),
      );
      this.#move(moves);
    }
    this.#closeRest();
  }

  #move(moves: readonly Move[]): void {
    for (const step of planMoves(moves, this.#numbers.spare)) this.#queue(step);
    for (const { from, to } of moves) {
      if (from !== to || this.#closeOnExec.has(to)) continue;
      this.#builder.makeRoom(1, 0);
      this.#builder.batch.must(SYS.fcntl, to, FCNTL.F_SETFD, 0);
    }
    this.#builder.flush();
  }

  #queue(step: Step): void {
    this.#builder.makeRoom(1, 0);
    const { batch } = this.#builder;
    if (step.kind === 'close') batch.must(SYS.close, step.fd);
    else {
      const temporary = step.to === this.#numbers.spare;
      const cloexec = temporary || this.#closeOnExec.has(step.to) ? O.CLOEXEC : 0;
      batch.must(SYS.dup3, step.from, step.to, cloexec);
    }
  }

  /** After {@link place}: lets a file of the engine stand at a number while `use` queues calls. */
  withNumber(engineFd: number, number: number, use: () => void): void {
    const [received] = this.push([engineFd]) as [number];
    const taken = this.#taken(number);
    const spare = number === this.#numbers.spare ? number + 1 : this.#numbers.spare;
    this.#builder.makeRoom(4, 0);
    if (taken) this.#builder.batch.must(SYS.dup3, number, spare, O.CLOEXEC);
    if (received !== number) {
      this.#builder.batch.must(SYS.dup3, received, number, O.CLOEXEC);
      this.#builder.batch.must(SYS.close, received);
    }
    use();
    this.#builder.makeRoom(2, 0);
    const { batch } = this.#builder;
    if (taken) {
      batch.must(SYS.dup3, spare, number, this.#closeOnExec.has(number) ? O.CLOEXEC : 0);
      batch.must(SYS.close, spare);
    } else batch.must(SYS.close, number);
  }

  #taken(number: number): boolean {
    return number === this.#channel.number || this.#wanted.some((entry) => entry.fd === number);
  }

  /** Closes what the placeholder has and the application has not. */
  #closeRest(): void {
    const wanted = new Set(this.#wanted.map((entry) => entry.fd)).add(this.#channel.number);
    const open = readdirSync(`/proc/${this.#builder.process.pid}/fd`).map(Number);
    for (const fd of open.filter((n) => !wanted.has(n))) {
      this.#builder.makeRoom(1, 0);
      this.#builder.batch.call(SYS.close, fd);
    }
    this.#builder.flush();
  }

  /** Takes the channel out of the process. */
  close(): void {
    this.#builder.flush();
    this.#channel.close();
  }
}

/** Soft RLIMIT_NOFILE of a process. */
function limitOf(pid: number): number {
  const match = /^Max open files\s+(\d+)/m.exec(readProc(`/proc/${pid}/limits`));
  return match ? Number(match[1]) : Number.MAX_SAFE_INTEGER;
}
