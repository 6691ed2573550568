// The trees of one dump while the engine holds them: traced, then stopped, then given back, whatever happens.
import { type PreparedMappings, prepareMappings } from './memory/mappings.ts';
import type { Mapping } from './linux/procfs/maps.ts';
import { FreezeClock } from './freeze-limit.ts';
import type { DumpTree } from './protocol.ts';
import { settle } from './tracee/bootstrap-call.ts';
import { sleepMillis } from './tracee/deadline.ts';
import { findLeftovers, removeLeftovers } from './tracee/leftovers.ts';
import { DUMP_LEADER, Resident, SMALL_SLOT } from './tracee/resident.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import { Tracer, UnstoppableError } from './tracee/tracer.ts';
import { observeWaits } from './tracee/wait-observation.ts';
import { findWayBack } from './tracee/way-back.ts';

/** A vfork child execs or ends within milliseconds; a parent that still waits after so many tries is refused. */
const FREEZE_ATTEMPTS = 20;
const STOP_MILLIS = 200;
const PAUSE_BETWEEN_ATTEMPTS_MILLIS = 25;

/**
 * `using application = HeldApplication.seize(trees)`: at the end of the scope everybody who is still held runs on as if
 * nothing had been.
 */
export class HeldApplication {
  readonly tracer = new Tracer();
  readonly trees: readonly DumpTree[];
  #mappings: ReadonlyMap<TracedProcess, PreparedMappings> = new Map();
  #clock: FreezeClock | undefined;
  readonly #leftovers = new Map<TracedProcess, Mapping[]>();
  #freezeMillis = 0;

  private constructor(trees: readonly DumpTree[]) {
    this.trees = trees;
  }

  /** Attaches to all trees; they run. @throws LinuxError when somebody else traces them */
  static seize(trees: readonly DumpTree[]): HeldApplication {
    const application = new HeldApplication(trees);
    try {
      for (const tree of trees) application.tracer.seizeTree(tree.rootPid);
      return application;
    } catch (error) {
      application[Symbol.dispose]();
      throw error;
    }
  }

  get processes(): TracedProcess[] {
    return [...this.tracer.processes.values()].filter((p) => !p.snapshot);
  }

  /** What can be read while it runs. */
  prepare(): void {
    this.#mappings = new Map(
      this.processes.map((process) => {
        this.tracer.pump();
        const prepared = prepareMappings(process);
        observeWaits(process);
        const leftovers = findLeftovers(process.pid, prepared.mappings);
        process.homesTaken = leftovers.length;
        this.#leftovers.set(process, leftovers);
        process.wayBack = findWayBack(process.pid, prepared.mappings);
        return [process, prepared];
      }),
    );
  }

  get mappings(): ReadonlyMap<TracedProcess, PreparedMappings> {
    return this.#mappings;
  }

  /**
   * Stops every thread and brings the interpreter in.
   *
   * @param limitMillis longest time until {@link letGo}; 0 for none
   * @throws UnstoppableError when some process stays in vfork(2) or in an uninterruptible call
   */
  freeze(limitMillis: number): void {
    this.#stopAll(limitMillis);
    for (const process of this.processes) {
      const threads = process.threads.size - 1;
      Resident.map(process, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads });
      removeLeftovers(process, this.#leftovers.get(process) ?? []);
      this.checkLimit();
    }
  }

  #stopAll(limitMillis: number): void {
    for (let attempt = 1; ; attempt++) {
      this.#clock = new FreezeClock(limitMillis);
      try {
        this.tracer.freeze(limitMillis > 0 ? Math.min(limitMillis, STOP_MILLIS) : STOP_MILLIS);
        return;
      } catch (error) {
        if (!(error instanceof UnstoppableError) || attempt === FREEZE_ATTEMPTS) throw error;
        // Running again: the vfork child gets its chance.
        const until = performance.now() + PAUSE_BETWEEN_ATTEMPTS_MILLIS;
        while (performance.now() < until) {
          this.tracer.pump();
          sleepMillis(1);
        }
      }
    }
  }

  /** @throws FreezeLimitError when the application has stood still for too long */
  checkLimit(): void {
    this.#clock?.check();
  }

  /** Milliseconds from the first stop until {@link letGo} was done. */
  get freezeMillis(): number {
    return this.#freezeMillis;
  }

  /** Takes the interpreter out and lets every process go on; nothing happens when they are gone already. */
  letGo(): void {
    if (this.processes.length === 0) return;
    for (const process of this.processes) {
      if (!process.resident) continue;
      Resident.unmap(process);
      for (const thread of process.threads.values()) settle(thread);
    }
    for (const process of this.processes) this.tracer.release(process);
    this.#freezeMillis = this.#clock?.elapsedMillis ?? 0;
  }

  [Symbol.dispose](): void {
    for (const process of this.processes) takeBack(process);
    this.tracer.releaseAll();
  }
}

/** Takes the interpreter out of a process after a failure, as well as it can. */
function takeBack(process: TracedProcess): void {
  try {
    if (process.resident) Resident.unmap(process);
    const stopped = [...process.threads.values()].filter((thread) => thread.stopped);
    for (const thread of stopped) settle(thread);
  } catch {
    // A process that ended meanwhile, or does not answer: the kernel lets go of it when the engine ends, and the control
    // block brings its threads back.
  }
}
