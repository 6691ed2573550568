// The trees of one dump while the engine holds them: traced, then stopped, then given back, whatever happens.
import { type PreparedMappings, prepareMappings } from './memory/mappings.ts';
import { readMaps } from './linux/procfs/maps.ts';
import { areasWithPolicy } from './linux/procfs/numa-maps.ts';
import { FreezeClock } from './freeze-limit.ts';
import { hurry } from './linux/urgency.ts';
import type { SourceTree } from './protocol.ts';
import { isGone } from './tracee/attach.ts';
import { sleepMillis } from './tracee/deadline.ts';
import { giveRegistersBack } from './tracee/give-back.ts';
import { findLeftovers, removeLeftovers } from './tracee/leftovers.ts';
import { DUMP_LEADER, Resident, SMALL_SLOT } from './tracee/resident.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import { Tracer, UnstoppableError } from './tracee/tracer.ts';
import { observeWaits } from './tracee/wait-observation.ts';
import { findWayBack } from './tracee/way-back.ts';
import { bringIn, refuseUntouchable } from './untouchable.ts';

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
  readonly trees: readonly SourceTree[];
  readonly #mappings = new Map<TracedProcess, PreparedMappings & { readonly execs: number }>();
  #clock: FreezeClock | undefined;
  #freezeMillis = 0;
  #urgency: Disposable | undefined;

  private constructor(trees: readonly SourceTree[]) {
    this.trees = trees;
  }

  /** Attaches to all trees; they run. @throws LinuxError when somebody else traces them */
  static seize(trees: readonly SourceTree[]): HeldApplication {
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

  /** What can be read while it runs. Who is born later is read in the freeze. */
  prepare(): void {
    for (const process of this.processes) {
      this.tracer.pump();
      try {
        this.#prepare(process);
      } catch (error) {
        // It ended meanwhile: the tracer will hear of it.
        if (!isGone(error)) throw error;
      }
    }
    this.#seizeLateComers();
    this.observe();
  }

  /**
   * A process may have been born past us:
   *  1. its parent was in fork(2), which takes milliseconds for much memory, when we seized it;
   *  2. so the child did not attach itself, and was not there yet when we looked for children.
   * By now it is there, and whoever forks from here on was seized before.
   */
  #seizeLateComers(): void {
    for (const tree of this.trees) this.tracer.seizeTree(tree.rootPid);
  }

  #prepare(process: TracedProcess): void {
    const prepared = prepareMappings(process);
    process.leftovers = findLeftovers(process.pid, prepared.mappings);
    process.wayBack = findWayBack(process.pid, prepared.mappings);
    process.policedAreas = areasWithPolicy(process.pid);
    this.#mappings.set(process, { ...prepared, execs: process.execs });
  }

  /** Of every process that is still the program it was when it was prepared. */
  get mappings(): ReadonlyMap<TracedProcess, PreparedMappings> {
    const valid = [...this.#mappings].filter(([process, { execs }]) => execs === process.execs);
    return new Map(valid);
  }

  /**
   * Stops every thread and brings the interpreter in.
   *
   * @param limitMillis longest time until {@link letGo}; 0 for none
   * @throws RefusedError when remote calls cannot be made in a program
   * @throws UnstoppableError when some process stays in vfork(2) or in an uninterruptible call
   */
  freeze(limitMillis: number): void {
    this.#urgency = hurry();
    this.#stopAll(limitMillis);
    refuseUntouchable(this.tracer, this.trees);
    const { mappings } = this;
    for (const process of this.processes) {
      const threads = process.threads.size - 1;
      if (!mappings.has(process)) process.wayBack = findWayBack(process.pid, readMaps(process.pid));
      bringIn(process, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads });
      removeLeftovers(process);
      this.checkLimit();
    }
  }

  /** Stops it for a moment before the freeze that counts, for what it must do itself, and lets it run on. */
  pause(work: () => void): void {
    this.freeze(0);
    try {
      work();
    } finally {
      this.putBack();
      this.tracer.thaw();
      this.takeTime();
    }
    this.observe();
  }

  /** Looks at who waits for what. Last of all before a freeze, so that few threads have run again by the time they are stopped. */
  observe(): void {
    observeWaits(this.processes);
  }

  #stopAll(limitMillis: number): void {
    for (let attempt = 1; ; attempt++) {
      this.#clock = new FreezeClock(limitMillis);
      try {
        this.tracer.freeze(limitMillis > 0 ? Math.min(limitMillis, STOP_MILLIS) : STOP_MILLIS);
        return;
      } catch (error) {
        if (!(error instanceof UnstoppableError)) throw error;
        // They may only have had too little time.
        if (attempt === FREEZE_ATTEMPTS && limitMillis < STOP_MILLIS) this.checkLimit();
        if (attempt === FREEZE_ATTEMPTS) throw error;
        // Running again: the vfork child gets its chance.
        const until = performance.now() + PAUSE_BETWEEN_ATTEMPTS_MILLIS;
        while (performance.now() < until) {
          this.tracer.pump();
          sleepMillis(1);
        }
      }
    }
  }

  /** Works at an ordinary pace from here on, though the application may still stand: long copies are no hurry. */
  takeTime(): void {
    this.#urgency?.[Symbol.dispose]();
    this.#urgency = undefined;
  }

  /** @throws FreezeLimitError when the application has stood still for too long */
  checkLimit(): void {
    this.#clock?.check();
  }

  /** Milliseconds from the first stop until {@link letGo} was done. */
  get freezeMillis(): number {
    return this.#freezeMillis;
  }

  /** Takes the interpreter out and gives every thread its own registers: nothing but the trace holds them from here on. */
  putBack(): void {
    for (const process of this.processes) takeOut(process);
  }

  /** Lets every process go on; nothing happens when they are gone already. */
  letGo(): void {
    if (this.processes.length === 0) return;
    this.putBack();
    for (const process of this.processes) this.tracer.release(process);
    this.#freezeMillis = this.#clock?.elapsedMillis ?? 0;
    this.takeTime();
  }

  [Symbol.dispose](): void {
    for (const process of this.processes) {
      try {
        takeOut(process);
      } catch {
        // It ended meanwhile or does not answer: the kernel lets go of it when the engine ends, and the control block brings
        // its threads back.
      }
    }
    this.tracer.releaseAll();
    this.takeTime();
  }
}

/**
 * The order counts, should the engine be killed:
 *  1. threads that stand in the interpreter leave it, as nobody can lead them out of memory that is gone;
 *  2. the leader unmaps it, by a call that has a way back of its own;
 *  3. the leader follows.
 */
function takeOut(process: TracedProcess): void {
  if (!process.resident) return;
  const { leader, threads } = process;
  for (const thread of threads.values()) {
    if (thread !== leader) giveRegistersBack(thread);
  }
  Resident.unmap(process);
  giveRegistersBack(leader);
}
