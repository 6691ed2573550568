// Copy-on-write snapshots of every process of a dump, discarded at the end of the scope.
import type { Finding } from './finding.ts';
import type { HeldApplication } from './held-application.ts';
import type { ProcessMemory } from './memory/mappings.ts';
import { ownsPages } from './memory/page-choice.ts';
import { lackOfRoom } from './memory/snapshot-room.ts';
import {
  discardSnapshot,
  type Snapshot,
  SnapshotFailedError,
  takeSnapshot,
} from './memory/snapshot.ts';
import type { TreeDump } from './tree-dump.ts';

export class Snapshots {
  readonly #taken = new Map<ProcessMemory, Snapshot>();
  readonly #application: HeldApplication;

  private constructor(application: HeldApplication) {
    this.#application = application;
  }

  /**
   * All processes are stopped; the snapshots of all together are one moment. Where memory is short or the kernel denies a
   * fork there is none, and the pages are to be copied before the thaw.
   *
   * @param report told why
   */
  static take(
    application: HeldApplication,
    trees: readonly TreeDump[],
    report: (finding: Finding) => void,
  ): Snapshots {
    const snapshots = new Snapshots(application);
    const memories = trees.flatMap((tree) => tree.living.map(({ memory }) => memory));
    const cramped = lackOfRoom(memories);
    if (cramped) {
      report(cramped);
      return snapshots;
    }
    try {
      for (const memory of memories) {
        snapshots.#take(memory, report);
        application.checkLimit();
      }
      return snapshots;
    } catch (error) {
      snapshots[Symbol.dispose]();
      throw error;
    }
  }

  #take(memory: ProcessMemory, report: (finding: Finding) => void): void {
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

  /** The snapshot of one process, undefined when there is none. */
  of(memory: ProcessMemory): Snapshot | undefined {
    return this.#taken.get(memory);
  }

  [Symbol.dispose](): void {
    for (const snapshot of this.#taken.values()) {
      discardSnapshot(this.#application.tracer, snapshot);
    }
    this.#taken.clear();
  }
}
