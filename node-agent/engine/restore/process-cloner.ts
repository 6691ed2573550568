// One remote fork with an exact pid.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { sleepMillis } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
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
   * A copy of `parent`, its child, stopped at birth.
   *
   * A wrong pid (somebody was quicker) is ended and reaped, and the clone tried again.
   *
   * @throws PidTakenError after five seconds
   */
  clone(pid: number, parent: TracedProcess): TracedProcess {
    for (const start = performance.now(); ; ) {
      const batch = new RemoteBatch(parent.leader);
      const result = this.#pids.clone(batch, pid, 0, SIGNAL.SIGCHLD);
      const got = run(batch, result);
      if (got !== undefined && batch.events.born !== undefined) {
        const child = this.#tracer.adopt(batch.events.born, batch.events.born).process;
        child.nsPid = got;
        child.leader.nsTid = got;
        // The fork copied the interpreter's mapping along.
        child.resident = parent.resident?.forSnapshot();
        if (got === pid) return child;
        this.discard(child, parent);
      }
      if (performance.now() - start > PATIENCE_MILLIS) throw new PidTakenError(pid);
      sleepMillis(ATTEMPT_PAUSE_MILLIS);
    }
  }

  /** Ends a child and lets its parent reap it. */
  discard(child: TracedProcess, parent: TracedProcess): void {
    sendSignal(child.pid, SIGNAL.SIGKILL);
    this.#tracer.awaitEnd(child);
    remoteCall(parent, SYS.wait4, child.nsPid, 0, 0, 0);
  }
}

function run(batch: RemoteBatch, result: { readonly number: number }): number | undefined {
  try {
    batch.run();
    return result.number;
  } catch (error) {
    if (error instanceof LinuxError && error.errno === 'EEXIST') return undefined;
    throw error;
  }
}
