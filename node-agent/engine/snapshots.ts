// Copy-on-write snapshots of every process of a dump, discarded at the end of the scope.
import type { HeldApplication } from './held-application.ts';
import { discardSnapshot, type Snapshot, takeSnapshot } from './memory/snapshot.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import type { TreeDump } from './tree-dump.ts';

export class Snapshots {
  readonly #taken = new Map<TracedProcess, Snapshot>();
  readonly #application: HeldApplication;

  private constructor(application: HeldApplication) {
    this.#application = application;
  }

  /** All processes are stopped; the snapshots of all together are one moment. */
  static take(application: HeldApplication, trees: readonly TreeDump[]): Snapshots {
    const snapshots = new Snapshots(application);
    try {
      for (const { process, record } of trees.flatMap((tree) => tree.living)) {
        snapshots.#taken.set(process, takeSnapshot(application.tracer, process, record));
        application.checkLimit();
      }
      return snapshots;
    } catch (error) {
      snapshots[Symbol.dispose]();
      throw error;
    }
  }

  /** The process that holds the pages of another one as they were. */
  of(process: TracedProcess): TracedProcess {
    const snapshot = this.#taken.get(process);
    if (!snapshot) throw new Error(`no snapshot of process ${process.pid}`);
    return snapshot.process;
  }

  [Symbol.dispose](): void {
    for (const snapshot of this.#taken.values())
      discardSnapshot(this.#application.tracer, snapshot);
    this.#taken.clear();
  }
}
