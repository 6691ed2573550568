// The descriptors of one process that is being rebuilt: opened there or received from the engine, moved to their numbers, the
// rest closed.
import { readdirSync } from 'node:fs';
import { SYS } from '../../arch/x86-64.ts';
import type { FdinfoEntry } from '../../image/messages/files.ts';
import { FCNTL, MAX_RIGHTS, pidfdGetfd, pidfdOpen } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { readProc } from '../../linux/procfs/read.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import { FdChannel } from '../../tracee/fd-channel.ts';
import type { HeldFile } from './file-kind.ts';
import { type SpareNumbers, spareNumbers } from './numbers.ts';
import { type Move, planMoves, type Step } from './placement.ts';
import { PathOpens } from './remote-open.ts';

const FD_CLOEXEC = 1;
const LAST_DESCRIPTOR = 0xffffffff;

/** Where the files are that a process is to get. */
export interface FileSources {
  /** undefined for what the engine has */
  held(id: number): HeldFile | undefined;
  engineFd(id: number): number;
}

export class DescriptorTable {
  readonly #builder: ProcessBuilder;
  readonly #wanted: readonly FdinfoEntry[];
  readonly #closeOnExec: ReadonlySet<number>;
  readonly #limit: number;
  readonly #numbers: SpareNumbers;
  readonly #channel: FdChannel;
  #channelIsOpen = true;
  #placed = false;
  readonly opens: PathOpens;

  constructor(builder: ProcessBuilder) {
    const { process, saved } = builder;
    this.#builder = builder;
    this.#wanted = saved.fdinfo;
    this.#closeOnExec = new Set(saved.fdinfo.filter((e) => e.flags & FD_CLOEXEC).map((e) => e.fd));
    this.#limit = limitOf(process.pid);
    this.#numbers = spareNumbers(new Set(saved.fdinfo.map((e) => e.fd)), this.#limit);
    builder.flush();
    this.#channel = FdChannel.open(process, this.#numbers.channel);
    this.opens = new PathOpens(builder, {
      taken: new Set(readdirSync(`/proc/${process.pid}/fd`).map(Number)),
      wanted: saved.fdinfo.map((e) => e.fd).sort((a, b) => a - b),
      above: this.#numbers.above,
      filler: this.#channel.number,
    });
  }

  /** Copies a descriptor of the process into the engine; what is queued for the process stays queued. */
  pull(fd: number): number {
    if (this.#channelIsOpen) return this.#channel.pull(fd);
    const { pid } = this.#builder.process;
    using handle = pidfdOpen(pid);
    return pidfdGetfd(handle, fd, pid);
  }

  /** Copies what the process holds into the engine, wherever it stands by now. */
  pullHeld(id: number, held: HeldFile): number {
    const at = this.#placed ? this.#wanted.find((entry) => entry.id === id)?.fd : held.number;
    if (at === undefined) throw new Error(`process ${this.#builder.saved.pid} lost file ${id}`);
    return this.pull(at);
  }

  /** Puts descriptors of the engine into the process, close-on-exec, at the lowest free numbers. */
  push(fds: readonly number[]): number[] {
    this.#builder.flush();
    return this.#channel.push(fds);
  }

  /** Gives the process what it had, at the numbers it had: first what stands in it already. */
  place(sources: FileSources): void {
    const numbersOf = Map.groupBy(this.#wanted, ({ id }) => id);
    const [own, others]: [Received[], number[]] = [[], []];
    for (const id of numbersOf.keys()) {
      const held = sources.held(id);
      if (held?.builder === this.#builder) own.push({ id, ...held });
      else others.push(id);
    }
    this.#moveAll(own, numbersOf);
    for (let from = 0; from < others.length; from += MAX_RIGHTS) {
      const part = others.slice(from, from + MAX_RIGHTS);
      const received = this.push(part.map((id) => sources.engineFd(id)));
      const files = part.map((id, i) => ({ id, number: received[i] as number, closeOnExec: true }));
      this.#moveAll(files, numbersOf);
    }
    this.#closeRest();
    this.#placed = true;
  }

  #moveAll(files: readonly Received[], numbersOf: ReadonlyMap<number, FdinfoEntry[]>): void {
    const moves = files.flatMap(({ id, number }) =>
      (numbersOf.get(id) ?? []).map(({ fd }): Move => ({ from: number, to: fd })),
    );
    const spare = this.#spareBeside(files);
    for (const step of planMoves(moves, spare)) this.#queue(step, spare);
    for (const { id, number, closeOnExec } of files) {
      const stays = (numbersOf.get(id) ?? []).some(({ fd }) => fd === number);
      const wanted = this.#closeOnExec.has(number);
      if (!stays || closeOnExec === wanted) continue;
      this.#builder.makeRoom(1, 0);
      this.#builder.batch.must(SYS.fcntl, number, FCNTL.F_SETFD, wanted ? FD_CLOEXEC : 0);
    }
    this.#builder.flush();
  }

  /** A number for the moment where nothing stands: files that the process opened may have taken those that were spare. */
  #spareBeside(files: readonly Received[]): number {
    const held = new Set(files.map(({ number }) => number));
    const { spare } = this.#numbers;
    const isFree = (number: number): boolean => !held.has(number) && !this.#taken(number);
    for (let number = spare; number < this.#limit; number++) if (isFree(number)) return number;
    for (let number = spare - 1; number >= 0; number--) if (isFree(number)) return number;
    throw new Error(`all ${this.#limit} descriptors are in use: raise the limit of open files`);
  }

  #queue(step: Step, spare: number): void {
    this.#builder.makeRoom(1, 0);
    const { batch } = this.#builder;
    if (step.kind === 'close') batch.must(SYS.close, step.fd);
    else {
      const cloexec = step.to === spare || this.#closeOnExec.has(step.to);
      batch.must(SYS.dup3, step.from, step.to, cloexec ? O.CLOEXEC : 0);
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

  /** Closes what the placeholder has and the application has not, and what we needed on the way. */
  #closeRest(): void {
    const kept = [...this.#wanted.map((entry) => entry.fd), this.#channel.number];
    let next = 0;
    for (const number of [...kept.sort((a, b) => a - b), LAST_DESCRIPTOR + 1]) {
      if (number > next) {
        this.#builder.makeRoom(1, 0);
        this.#builder.batch.must(SYS.close_range, next, number - 1, 0);
      }
      next = number + 1;
    }
    this.#builder.flush();
  }

  /** Takes the channel out of the process. */
  close(): void {
    this.#builder.flush();
    this.#channel.close();
    this.#channelIsOpen = false;
  }
}

/** A file in the process, wherever the kernel put it. */
interface Received {
  readonly id: number;
  readonly number: number;
  readonly closeOnExec: boolean;
}

/** Soft RLIMIT_NOFILE of a process. */
function limitOf(pid: number): number {
  const match = /^Max open files\s+(\d+)/m.exec(readProc(`/proc/${pid}/limits`));
  return match ? Number(match[1]) : Number.MAX_SAFE_INTEGER;
}
