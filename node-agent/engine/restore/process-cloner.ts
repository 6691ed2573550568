// Remote forks with exact pids.
import { SYS } from '../arch/x86-64.ts';
import { childPids } from '../linux/procfs/children.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { sleepMillis } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { bearTogether } from './births.ts';
import type { PidSource } from './pid-source.ts';

const ATTEMPT_PAUSE_MILLIS = 20;
const PATIENCE_MILLIS = 5000;

/** Somebody else keeps a pid that the image needs: a `kubectl exec` session, a probe that hangs. */
export class PidTakenError extends Error {
  readonly pid: number;
  constructor(pid: number) {
    super(
      `pid ${pid} stays taken in the target's pid namespace; end what runs there besides the placeholder`,
    );
    this.name = 'PidTakenError';
    this.pid = pid;
  }
}

/** Makes one system call in the leader of a process that has an interpreter. @throws LinuxError */
export function remoteCall(process: TracedProcess, nr: number, ...args: number[]): void {
  const batch = new RemoteBatch(process.leader);
  batch.must(nr, ...args);
  batch.run();
}

export class ProcessCloner {
  readonly #tracer: Tracer;
  readonly #pids: PidSource;

  constructor(tracer: Tracer, pids: PidSource) {
    this.#tracer = tracer;
    this.#pids = pids;
  }

  /**
   * Copies of `parent`, its children, stopped at birth, by their pids.
   *
   * A wrong pid (somebody was quicker) is ended and reaped, and the clone tried again.
   *
   * @throws PidTakenError after five seconds
   */
  cloneAll(wanted: readonly number[], parent: TracedProcess): Map<number, TracedProcess> {
    const children = new Map<number, TracedProcess>();
    for (const some of this.#pids.together(wanted)) {
      for (const child of this.#cloneSome(some, parent)) children.set(child.nsPid, child);
    }
    for (const pid of wanted) if (!children.has(pid)) children.set(pid, this.clone(pid, parent));
    return children;
  }

  /** One of {@link cloneAll}. */
  clone(pid: number, parent: TracedProcess): TracedProcess {
    for (const start = performance.now(); ; ) {
      const [child] = this.#cloneSome([pid], parent);
      if (child) return child;
      if (performance.now() - start > PATIENCE_MILLIS) throw new PidTakenError(pid);
      sleepMillis(ATTEMPT_PAUSE_MILLIS);
    }
  }

  /** Those of `wanted` that could be had at once. */
  #cloneSome(wanted: readonly number[], parent: TracedProcess): TracedProcess[] {
    const tools = { tracer: this.#tracer, pids: this.#pids };
    const births = {
      flags: 0,
      exitSignal: SIGNAL.SIGCHLD,
      listed: () => childPids(parent.pid),
      processOf: (pid: number) => pid,
    };
    const children = bearTogether(parent, wanted, births, tools).map((leader) => {
      const child = leader.process;
      child.nsPid = leader.nsTid;
      // The fork copied the interpreter's mapping along, and the vDSO.
      child.resident = parent.resident?.forSnapshot();
      child.bootstrapAddress = parent.bootstrapAddress;
      return child;
    });
    for (const child of children) if (!wanted.includes(child.nsPid)) this.discard(child, parent);
    return children.filter(({ nsPid }) => wanted.includes(nsPid));
  }

  /** Ends a child and lets its parent reap it. */
  discard(child: TracedProcess, parent: TracedProcess): void {
    sendSignal(child.pid, SIGNAL.SIGKILL);
    this.#tracer.awaitEnd(child);
    remoteCall(parent, SYS.wait4, child.nsPid, 0, 0, 0);
  }
}
