// Copy-on-write snapshots of every process of a dump, discarded at the end of the scope.
import type { HeldApplication } from './held-application.ts';
import type { ProcessMemory } from './memory/mappings.ts';
import { discardSnapshot, type Snapshot, takeSnapshot } from './memory/snapshot.ts';
import type { TreeDump } from './tree-dump.ts';

export class Snapshots {
  readonly #taken = new Map<ProcessMemory, Snapshot>();
  readonly #application: HeldApplication;

  private constructor(application: HeldApplication) {
    this.#application = application;
  }

  /** All processes are stopped; the snapshots of all together are one moment. */
  static take(application: HeldApplication, trees: readonly TreeDump[]): Snapshots {
    const snapshots = new Snapshots(application);
    try {
      for (const { memory } of trees.flatMap((tree) => tree.living)) {
        snapshots.#taken.set(memory, takeSnapshot(application.tracer, memory));
        application.checkLimit();
      }
      return snapshots;
    } catch (error) {
      snapshots[Symbol.dispose]();
      throw error;
    }
  }

  /** The snapshot of one process. */
  of(memory: ProcessMemory): Snapshot {
    const snapshot = this.#taken.get(memory);
    if (!snapshot) throw new Error(`no snapshot of process ${memory.process.pid}`);
    return snapshot;
  }

  [Symbol.dispose](): void {
    for (const snapshot of this.#taken.values()) {
      discardSnapshot(this.#application.tracer, snapshot);
    }
    this.#taken.clear();
  }
}
