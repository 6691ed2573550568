// A process that is being rebuilt, as the state kinds see it.
import type { Finding } from '../finding.ts';
import { readStatus } from '../linux/procfs/status.ts';
import type { Rights } from '../state/credential-reach.ts';
import type { SavedProcess, SavedThread } from '../state/records.ts';
import { processKinds, stateKinds } from '../state/kinds.ts';
import type { Stage } from '../state/state-kind.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { Birth, ProcessBuilder, ThreadBuilder } from './builder.ts';

export class ProcessUnderConstruction implements ProcessBuilder {
  readonly saved: SavedProcess;
  readonly process: TracedProcess;
  readonly birth: Birth;
  readonly threads: ThreadUnderConstruction[] = [];
  readonly #report: (finding: Finding) => void;
  #batch: RemoteBatch | undefined;
  #rightsAtBirth: Rights | undefined;
  #working: ThreadUnderConstruction[] = [];
  #leaderWorks = false;

  constructor(
    saved: SavedProcess,
    process: TracedProcess,
    birth: Birth,
    report: (finding: Finding) => void,
  ) {
    this.saved = saved;
    this.process = process;
    this.birth = birth;
    this.#report = report;
  }

  get rightsAtBirth(): Rights {
    this.#rightsAtBirth ??= rightsOf(readStatus(this.process.pid));
    return this.#rightsAtBirth;
  }

  /** Belongs to the interpreter's mapping of the moment; after an exec a new one is made. */
  get batch(): RemoteBatch {
    if (!this.#batch || this.#batch.resident !== this.process.resident) {
      this.#batch = new RemoteBatch(this.process.leader);
    }
    return this.#batch;
  }

  flush(): void {
    if (this.batch.length > 0) this.batch.run();
  }

  makeRoom(calls: number, bytes: number): void {
    if (!this.batch.hasRoom(calls, bytes)) this.flush();
  }

  report(finding: Finding): void {
    this.#report(finding);
  }

  addThread(saved: SavedThread, thread: TracedThread): void {
    this.threads.push(new ThreadUnderConstruction(saved, thread, this));
  }

  /**
   * Lets every kind of one stage queue its calls, in the order of the register, and sets the threads going. All of them work
   * at the same time; the leader, whose batch is the process's own, goes after them.
   */
  begin(stage: Stage): void {
    const kinds = this.threads.length > 0 ? stateKinds : processKinds;
    for (const kind of kinds) {
      if (kind.stage !== stage) continue;
      if (kind.scope === 'process') kind.restore(this.saved, this);
      else for (const thread of this.threads) kind.restore(thread.saved.core, thread);
    }
    const { batch } = this;
    this.#working = this.threads.filter((t) => t.batch !== batch && t.batch.length > 0);
    for (const thread of this.#working) thread.batch.start();
    this.#leaderWorks = this.#working.length === 0 && batch.length > 0;
    if (this.#leaderWorks) batch.start();
  }

  /** Waits for what {@link begin} has set going; nothing may be queued in between. */
  end(): void {
    for (const thread of this.#working.splice(0)) thread.batch.finish();
    if (this.#leaderWorks) this.batch.finish();
    else this.flush();
    this.#leaderWorks = false;
  }
}

/** One stage of many processes at the same time. */
export function runStage(
  builders: readonly Pick<ProcessUnderConstruction, 'begin' | 'end'>[],
  stage: Stage,
): void {
  for (const builder of builders) builder.begin(stage);
  for (const builder of builders) builder.end();
}

/** Read once: every thread is compared with them. */
const rightsOf = ({ uids, gids, groups, capabilities, noNewPrivileges }: Rights): Rights => ({
  uids,
  gids,
  groups,
  capabilities,
  noNewPrivileges,
});

export class ThreadUnderConstruction implements ThreadBuilder {
  readonly saved: SavedThread;
  readonly thread: TracedThread;
  readonly process: ProcessUnderConstruction;
  readonly #own: RemoteBatch | undefined;

  constructor(saved: SavedThread, thread: TracedThread, process: ProcessUnderConstruction) {
    this.saved = saved;
    this.thread = thread;
    this.process = process;
    // The leader's calls keep their order with those of the process: one batch for both.
    this.#own = thread === process.process.leader ? undefined : new RemoteBatch(thread);
  }

  get batch(): RemoteBatch {
    return this.#own ?? this.process.batch;
  }

  flush(): void {
    if (this.batch.length > 0) this.batch.run();
  }

  makeRoom(calls: number, bytes: number): void {
    if (!this.batch.hasRoom(calls, bytes)) this.flush();
  }
}
