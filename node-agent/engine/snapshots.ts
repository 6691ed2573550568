// What the pages of the moment of the freeze are read from once the application runs on: for each process a copy-on-write
// snapshot or, where that takes less time, a copy. Given up at the end of the scope.
import type { Finding } from './finding.ts';
import type { HeldApplication } from './held-application.ts';
import type { ProcessMemory } from './memory/mappings.ts';
import { ownsPages } from './memory/page-choice.ts';
import { PageCopies } from './memory/page-copies.ts';
import type { PageSource } from './memory/save-pages.ts';
import { lackOfRoom } from './memory/snapshot-room.ts';
import { discardSnapshot, SnapshotFailedError, takeSnapshot } from './memory/snapshot.ts';
import type { LivingProcess, TreeDump } from './tree-dump.ts';

/** For a thread that waits for a disk: it would stand as long as this engine waits for the same one. */
const LATE_STOP_MILLIS = 10_000;

type Report = (finding: Finding) => void;

export class Snapshots {
  readonly #taken = new Map<ProcessMemory, PageSource>();
  readonly #application: HeldApplication;
  /** every process that is saved */
  readonly #family = new Set<number>();

  private constructor(application: HeldApplication) {
    this.#application = application;
  }

  /**
   * All processes are stopped; what is taken of all together is one moment. Where memory is short or the kernel denies a fork
   * there is nothing, and the pages are to be saved before the thaw.
   *
   * @param report told why
   */
  static take(application: HeldApplication, trees: readonly TreeDump[], report: Report): Snapshots {
    const snapshots = new Snapshots(application);
    try {
      snapshots.#takeAll(trees, report);
      return snapshots;
    } catch (error) {
      snapshots[Symbol.dispose]();
      throw error;
    }
  }

  #takeAll(trees: readonly TreeDump[], report: Report): void {
    const large: ProcessMemory[] = [];
    for (const tree of trees) {
      for (const living of tree.living) {
        this.#family.add(living.memory.process.pid);
        if (!this.#copy(tree, living)) large.push(living.memory);
        this.#application.checkLimit();
      }
    }
    const cramped = lackOfRoom(large);
    if (cramped) return report(cramped);
    for (const memory of large) {
      this.#fork(memory, report);
      this.#application.checkLimit();
    }
  }

  /** @returns false when a snapshot is the shorter way */
  #copy(tree: TreeDump, living: LivingProcess): boolean {
    const copies = tree.copyMissing(living);
    if (copies) this.#taken.set(living.memory, copies);
    return copies !== undefined;
  }

  #fork(memory: ProcessMemory, report: Report): void {
    // A copy of a reserved page takes another one; where none is left the kernel takes the page from the snapshot.
    if (memory.areas.some(({ kind, hugePageBytes }) => hugePageBytes && ownsPages(kind))) {
      report({
        code: 'HugePagesCopied',
        severity: 'note',
        pid: memory.process.nsPid,
        object: 'memory of reserved huge pages',
        advice: 'the process stands still until its pages are copied',
      });
      return;
    }
    try {
      this.#taken.set(memory, takeSnapshot(this.#application.tracer, memory));
    } catch (error) {
      if (!(error instanceof SnapshotFailedError)) throw error;
      report({
        code: 'SnapshotFailed',
        severity: 'note',
        pid: memory.process.nsPid,
        object: error.message,
        advice:
          'it stands still until its pages are copied; raise its limits of processes and memory',
      });
    }
  }

  /** Of one process, undefined when there is nothing. */
  of(memory: ProcessMemory): PageSource | undefined {
    return this.#taken.get(memory);
  }

  [Symbol.dispose](): void {
    for (const source of this.#taken.values()) {
      // Copies are in memory of the engine.
      if (source instanceof PageCopies) continue;
      discardSnapshot(this.#application.tracer, source, this.#family);
    }
    this.#taken.clear();
    this.#application.tracer.lateStops.wait(LATE_STOP_MILLIS);
  }
}
