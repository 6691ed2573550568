// What changes between two dumps of the same processes: watched in every process, from one dump to the next. The watches outlive
// the engine in a helper process (tracking-holder.ts); a dump that finds none saves everything.
import type { Finding } from './finding.ts';
import type { HeldApplication } from './held-application.ts';
import type { PageRange } from './linux/procfs/pagemap.ts';
import type { ProcessMemory } from './memory/mappings.ts';
import { likelyWatchable, watchable, WriteTracker } from './memory/write-tracker.ts';
import type { Mapping } from './linux/procfs/maps.ts';
import type { DumpTask } from './protocol.ts';
import { isGone } from './tracee/attach.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import { leaveTrackers, takeTrackers } from './tracking-holder.ts';

export class WriteTracking implements Disposable {
  readonly #trackers = new Map<number, WriteTracker>();
  readonly #clean = new Map<number, readonly PageRange[]>();
  /** left by the dump that this one builds on: their clean pages need not be saved */
  readonly #taken = new Set<number>();
  readonly #nextFile: string | undefined;

  private constructor(nextFile: string | undefined) {
    this.#nextFile = nextFile;
  }

  /**
   * Takes over the watches of the last dump. If there shall be a next one, processes without a watch get theirs: they stop for
   * a moment, and their memory is protected while they run, so that the freeze has little to do.
   */
  static begin(application: HeldApplication, { tracking, afterDump }: DumpTask): WriteTracking {
    // Who does not run on has no next dump.
    const all = new WriteTracking(afterDump === 'Resume' ? tracking?.nextFile : undefined);
    if (!tracking) return all;
    try {
      for (const tracker of takeTrackers(tracking.previousFile)) all.#take(tracker, application);
      if (all.#nextFile !== undefined) all.#arm(application);
      return all;
    } catch (error) {
      all[Symbol.dispose]();
      throw error;
    }
  }

  #take(tracker: WriteTracker, { processes, mappings }: HeldApplication): void {
    const process = processes.find(({ pid }) => pid === tracker.pid);
    const prepared = process && mappings.get(process);
    if (!prepared || !tracker.watches(likelyWatchable(prepared.mappings)))
      return tracker[Symbol.dispose]();
    this.#trackers.set(tracker.pid, tracker);
    this.#taken.add(tracker.pid);
  }

  #arm(application: HeldApplication): void {
    const isWithout = ({ pid }: TracedProcess): boolean => !this.#trackers.has(pid);
    if (!application.processes.some(isWithout)) return;
    const armed: TracedProcess[] = [];
    application.pause(() => {
      for (const process of application.processes.filter(isWithout)) {
        const tracker = WriteTracker.create(process);
        if (!tracker) continue;
        this.#trackers.set(process.pid, tracker);
        armed.push(process);
      }
    });
    for (const process of armed) {
      const prepared = application.mappings.get(process);
      this.#watch(this.#trackers.get(process.pid), likelyWatchable(prepared?.mappings ?? []));
    }
  }

  /** The process may end meanwhile: the tracer will hear of it. */
  #watch(tracker: WriteTracker | undefined, mappings: readonly Mapping[]): void {
    if (!tracker) return;
    try {
      tracker.watch(mappings);
      tracker.protect(mappings);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** In the freeze: notes what has not changed since the last dump, and begins anew for the next. */
  mark(memories: readonly ProcessMemory[]): void {
    for (const { process, areas } of memories) {
      const tracker = this.#trackers.get(process.pid);
      if (!tracker) continue;
      if (this.#taken.has(process.pid)) this.#clean.set(process.pid, tracker.cleanPages(areas));
      if (this.#nextFile === undefined) continue;
      const mappings = watchable(areas);
      tracker.watch(mappings);
      tracker.protect(mappings);
    }
  }

  /** Pages of a process that are as the last dump saved them, ascending; none when that is not known. */
  cleanPages({ pid }: TracedProcess): readonly PageRange[] {
    return this.#clean.get(pid) ?? [];
  }

  /**
   * Leaves the watches for the next dump, once this one is complete. Should that fail, the next one saves everything.
   *
   * @param rootPid with which the watches end
   */
  handOver(rootPid: number, report: (finding: Finding) => void): void {
    if (this.#nextFile === undefined || this.#trackers.size === 0) return;
    try {
      leaveTrackers([...this.#trackers.values()], rootPid, this.#nextFile);
    } catch (error) {
      const object = error instanceof Error ? error.message : String(error);
      const advice = 'nobody watches what changes: the next dump saves everything';
      report({ code: 'WriteTrackingLost', severity: 'note', pid: rootPid, object, advice });
    }
  }

  /** Ends the watches, unless somebody else holds them, too. */
  [Symbol.dispose](): void {
    for (const tracker of this.#trackers.values()) tracker[Symbol.dispose]();
  }
}
