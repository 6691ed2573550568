// One traced process: its threads and, while it is worked on, the interpreter that lives in it.
import type { Mapping } from '../linux/procfs/maps.ts';
import { innermost, readStatus } from '../linux/procfs/status.ts';
import type { Resident } from './resident.ts';
import { TracedThread } from './traced-thread.ts';
import type { WayBack } from './way-back.ts';

export class TracedProcess {
  readonly pid: number;
  readonly threads = new Map<number, TracedThread>();
  /** interpreter mapped into it, undefined before the first batch and after the last */
  resident: Resident | undefined;
  /** a `syscall` instruction in its vDSO */
  bootstrapAddress: bigint | undefined;
  /** how the leader finds back by itself if the engine dies during a bootstrap call */
  wayBack: WayBack | undefined;
  /** what engines before us have left in it */
  leftovers: readonly Mapping[] = [];
  /** start addresses of its areas that may have a memory policy of their own, as it ran */
  policedAreas: readonly bigint[] = [];
  /** how often it began another program since it was seized: what was read before is worthless then */
  execs = 0;
  /** forked by us and invisible to its parent's wait(2) */
  snapshot = false;
  #nsPid: number | undefined;

  constructor(pid: number) {
    this.pid = pid;
  }

  /** It has begun another program. */
  forgetProgram(): void {
    this.bootstrapAddress = undefined;
    this.wayBack = undefined;
    this.leftovers = [];
    this.policedAreas = [];
    this.execs++;
  }

  /** Pid as the application knows it (innermost pid namespace). */
  get nsPid(): number {
    this.#nsPid ??= innermost(readStatus(this.pid).nsPids);
    return this.#nsPid;
  }
  set nsPid(value: number) {
    this.#nsPid = value;
  }

  readNsTid(tid: number): number {
    return tid === this.pid ? this.nsPid : innermost(readStatus(`${this.pid}/task/${tid}`).nsPids);
  }

  addThread(tid: number): TracedThread {
    const thread = new TracedThread(tid, this);
    this.threads.set(tid, thread);
    return thread;
  }

  /** The thread-group leader. */
  get leader(): TracedThread {
    const leader = this.threads.get(this.pid);
    if (!leader) throw new Error(`process ${this.pid} has no live leader`);
    return leader;
  }

  /** Leader first, the rest by number: the order of CRIU's images. */
  get orderedThreads(): TracedThread[] {
    return [...this.threads.values()].sort(
      (a, b) => Number(b.tid === this.pid) - Number(a.tid === this.pid) || a.nsTid - b.nsTid,
    );
  }
}
