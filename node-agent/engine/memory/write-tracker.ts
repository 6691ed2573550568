// Which pages of a process were written to since a moment: the kernel notes it, the application sees nothing (engine.md F).
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd, pidfdGetfd, pidfdOpen } from '../linux/descriptors.ts';
import type { Mapping } from '../linux/procfs/maps.ts';
import { PAGE_IS, Pagemap, type PageQuery, type PageRange } from '../linux/procfs/pagemap.ts';
import {
  enableWriteWatch,
  forgetProtection,
  UFFD_FLAGS,
  watchWrites,
} from '../linux/userfaultfd.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';

const PAGE = 4096n;
const { WPALLOWED } = PAGE_IS;
const WATCHED: PageQuery = { inverted: 0n, mask: WPALLOWED, anyOf: WPALLOWED };

/** The watch over one address space. It ends with the last copy of its descriptor, and leaves no trace. */
export class WriteTracker implements Disposable {
  readonly pid: number;
  readonly descriptor: OwnedFd;

  /** @param descriptor of userfaultfd(2), made in the process itself */
  constructor(pid: number, descriptor: OwnedFd) {
    this.pid = pid;
    this.descriptor = descriptor;
  }

  /**
   * Makes a watch in a stopped process; the descriptor is in its table for some 100 us, and goes by itself if the engine dies.
   *
   * @returns undefined where the kernel or the process's limits deny it
   */
  static create(process: TracedProcess): WriteTracker | undefined {
    const making = new RemoteBatch(process.leader);
    const made = making.call(SYS.userfaultfd, UFFD_FLAGS);
    making.ifOrphaned(SYS.close, made);
    making.run();
    if (made.value < 0n) return undefined;
    const tracker = take(process.pid, made.number);
    const closing = new RemoteBatch(process.leader);
    closing.closeOnce(made.number);
    closing.run();
    return tracker;
  }

  /** Does it still watch? A program begun by exec(2) has another address space. */
  watches(mappings: readonly Mapping[]): boolean {
    using table = new Pagemap(this.pid);
    return mappings.some(({ start, end }) => table.ranges(start, end, WATCHED).length > 0);
  }

  [Symbol.dispose](): void {
    this.descriptor[Symbol.dispose]();
  }

  /** Watches areas that are not watched yet; what cannot be watched will be saved whole. */
  watch(mappings: readonly Mapping[]): void {
    for (const { start, end } of mappings) watchWrites(this.descriptor.fd, start, end);
  }

  /**
   * Watches areas that came since, which count as written to. Memory that was moved there may have marks that say otherwise
   * (before Linux 6.13).
   */
  watchNew(mappings: readonly Mapping[]): void {
    using table = new Pagemap(this.pid);
    for (const { start, end } of mappings) {
      if (table.ranges(start, start + PAGE, WATCHED).length > 0) continue;
      if (watchWrites(this.descriptor.fd, start, end)) {
        forgetProtection(this.descriptor.fd, start, end);
      }
    }
  }

  /** From here on everything that is watched counts as not written to. */
  protect(ranges: readonly PageRange[]): void {
    using table = new Pagemap(this.pid);
    for (const { start, end } of ranges) table.protect(start, end);
  }
}

function take(pid: number, remote: number): WriteTracker | undefined {
  using pidfd = pidfdOpen(pid);
  const descriptor = new OwnedFd(pidfdGetfd(pidfd, remote, pid));
  if (enableWriteWatch(descriptor.fd)) return new WriteTracker(pid, descriptor);
  descriptor[Symbol.dispose]();
  return undefined;
}

/** The same before it is known what the mappings are: the kernel's own are left out. */
export const likelyWatchable = (mappings: readonly Mapping[]): Mapping[] =>
  mappings.filter(({ shared, name }) => !shared && !name.startsWith('[v'));
