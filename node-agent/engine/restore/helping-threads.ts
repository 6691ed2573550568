// Threads of ours in a half-built process, for work that one alone would do slowly: every fresh page of memory costs its
// thread a fault and a copy. They are gone before the process gets its own threads.
import { availableParallelism } from 'node:os';
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { endThread, THREAD_FLAGS } from './threads.ts';

/** More do not help: from here on memory itself is the limit. */
const MOST_HELPERS = 3;

/** The leader works, too. */
export const helpersHere = (): number => Math.min(MOST_HELPERS, availableParallelism() - 1);

export class HelpingThreads {
  readonly threads: readonly TracedThread[];
  readonly #tracer: Tracer;

  /** As many of {@link helpersHere} as the limits of the process allow; it has slots for them. */
  constructor(process: TracedProcess, tracer: Tracer) {
    this.#tracer = tracer;
    const threads: TracedThread[] = [];
    while (threads.length < helpersHere()) {
      const thread = bear(process, tracer);
      if (!thread) break;
      threads.push(thread);
    }
    this.threads = threads;
  }

  /** Their ids are free again afterwards. */
  end(): void {
    for (const thread of this.threads) endThread(thread, this.#tracer);
  }
}

/** Its id does not matter. */
function bear(process: TracedProcess, tracer: Tracer): TracedThread | undefined {
  const batch = new RemoteBatch(process.leader);
  const id = batch.must(SYS.clone, THREAD_FLAGS, 0, 0, 0, 0);
  try {
    batch.run();
  } catch (error) {
    // pids.max, RLIMIT_NPROC
    if (error instanceof LinuxError && error.errno === 'EAGAIN') return undefined;
    throw error;
  }
  if (batch.events.born === undefined) return undefined;
  const thread = tracer.adopt(process.pid, batch.events.born);
  thread.nsTid = id.number;
  return thread;
}
