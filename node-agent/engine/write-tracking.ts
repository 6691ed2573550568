// What changes between two dumps of the same processes: watched in every process, from one dump to the next. The watches outlive
// the engine in a helper process (tracking-holder.ts); a dump that finds none saves everything.
import type { Finding } from './finding.ts';
import type { HeldApplication } from './held-application.ts';
import type { Mapping } from './linux/procfs/maps.ts';
import { areasOf, type ProcessMemory } from './memory/mappings.ts';
import { CopyRoom } from './memory/page-copies.ts';
import { ProcessWatch, spanOf, stepsOf } from './memory/process-watch.ts';
import { likelyWatchable, WriteTracker } from './memory/write-tracker.ts';
import { isAnotherRoundWorthIt, roomToFaultIn } from './memory/copy-rounds.ts';
import type { PreCopied } from './pre-copy.ts';
import type { DumpTask, PreCopyReport } from './protocol.ts';
import { isGone } from './tracee/attach.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import { leaveTrackers, takeTrackers } from './tracking-holder.ts';

/** So many runs are copied between two looks at what the tracer has to do: a millisecond. */
const RUNS_BETWEEN_PUMPS = 256;

export class WriteTracking implements Disposable {
  readonly #trackers = new Map<number, WriteTracker>();
  /** of trackers that were left by the dump that this one builds on */
  readonly #watches = new Map<number, ProcessWatch>();
  readonly #room = new CopyRoom();
  readonly #nextFile: string | undefined;
  #rounds = 0;
  #copiedBytes = 0;

  private constructor(nextFile: string | undefined) {
    this.#nextFile = nextFile;
  }

  /**
   * Takes over the watches of the last dump. If there shall be a next one, processes without a watch get theirs: they stop for
   * a moment, and their memory is protected while they run, so that the freeze has little to do.
   */
  static begin(
    application: HeldApplication,
    { tracking, afterDump }: DumpTask,
    preCopied: PreCopied,
  ): WriteTracking {
    // Who does not run on has no next dump.
    const all = new WriteTracking(afterDump === 'Resume' ? tracking?.nextFile : undefined);
    all.#copiedBytes = preCopied.bytes.values().reduce((sum, bytes) => sum + bytes, 0);
    all.#rounds = preCopied.rounds;
    try {
      for (const { tracker, skipped } of preCopied.processes.splice(0)) {
        all.#take(tracker, application)?.copies.lose(skipped);
      }
      // A copy in these images is younger than older ones.
      const older = preCopied.bytes.size > 0 ? undefined : tracking?.previousFile;
      for (const tracker of takeTrackers(older)) all.#take(tracker, application);
      if (all.#nextFile !== undefined) all.#arm(application);
      return all;
    } catch (error) {
      all[Symbol.dispose]();
      throw error;
    }
  }

  #take(tracker: WriteTracker, { processes, mappings }: HeldApplication): ProcessWatch | undefined {
    const process = processes.find(({ pid }) => pid === tracker.pid);
    const prepared = process && mappings.get(process);
    const watched = likelyWatchable(prepared?.mappings ?? []);
    if (!tracker.watches(watched)) {
      tracker[Symbol.dispose]();
      return undefined;
    }
    const watch = new ProcessWatch(tracker, this.#room);
    this.#trackers.set(tracker.pid, tracker);
    this.#watches.set(tracker.pid, watch);
    // What is new since then counts as written to, and is watched from here on.
    tracker.watch(watched);
    return watch;
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
      tracker.protect(stepsOf(mappings));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /**
   * Copies what has changed while the application runs, again and again, until little is left for the freeze. The copies are
   * in memory of the engine, so the pages must go to the disk after the freeze.
   */
  copyWhileRunning(application: HeldApplication): void {
    if (this.#watches.size === 0) return;
    let runs = 0;
    const between = (): void => {
      if (++runs % RUNS_BETWEEN_PUMPS === 0) application.tracer.pump();
    };
    for (let round = 1, last = Number.POSITIVE_INFINITY; ; round++) {
      const written = this.#everyWatch(application, (watch, areas) => watch.writtenBytes(areas));
      this.#room.prepare(roomToFaultIn(written));
      const state = { round, lastBytes: last, bytes: written, roomBytes: this.#room.leftBytes };
      if (!isAnotherRoundWorthIt(state)) break;
      last = this.#everyWatch(application, (watch, areas) => watch.copyWritten(areas, between));
      this.#rounds++;
      this.#copiedBytes += last;
    }
    application.observe();
  }

  /** @returns the sum of what the work returned for each process that still lives */
  #everyWatch(
    application: HeldApplication,
    work: (watch: ProcessWatch, areas: ReturnType<typeof areasOf>) => number,
  ): number {
    let sum = 0;
    for (const [process, prepared] of application.mappings) {
      const watch = this.#watches.get(process.pid);
      if (!watch) continue;
      try {
        sum += work(watch, areasOf(prepared));
      } catch (error) {
        if (!isGone(error)) throw error;
      }
      application.tracer.pump();
    }
    return sum;
  }

  /** In the freeze: notes what has not changed since the last dump, and begins anew for the next. */
  mark(memories: readonly ProcessMemory[]): void {
    const again = this.#nextFile !== undefined;
    for (const { process, areas } of memories) {
      const watch = this.#watches.get(process.pid);
      const span = spanOf(areas);
      if (watch) watch.mark(areas, again);
      else if (again && span) this.#trackers.get(process.pid)?.protect([span]);
    }
  }

  /** What was copied before the freeze, and what was left for it; undefined when nothing was known. The application may run. */
  get preCopy(): PreCopyReport | undefined {
    if (this.#watches.size === 0) return undefined;
    const dirtyBytes = this.#watches.values().reduce((sum, watch) => sum + watch.dirtyBytes, 0);
    return { rounds: this.#rounds, bytes: this.#copiedBytes, dirtyBytes };
  }

  /** What is known of a process; undefined when nobody has watched it since older images were made. */
  watchOf({ pid }: TracedProcess): ProcessWatch | undefined {
    return this.#watches.get(pid);
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
    for (const watch of this.#watches.values()) watch[Symbol.dispose]();
    for (const tracker of this.#trackers.values()) tracker[Symbol.dispose]();
    this.#room[Symbol.dispose]();
  }
}
