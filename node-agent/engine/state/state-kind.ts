// The contract of a state kind: one kind of kernel state, saved and rebuilt in one file. `kinds.ts` is the only register.
import type { CoreEntry } from '../image/messages/core.ts';
import type { ImageWriter } from '../image/writer.ts';
import type { Finding } from '../finding.ts';
import type { ProcessBuilder, ThreadBuilder } from '../restore/builder.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { CoreDraft, ProcessRecord, SavedProcess } from './records.ts';

/** Where in the rebuilding of a process a kind has its place. */
export type Stage =
  /** memory and files are there, no second thread yet */
  | 'resources'
  /** every thread exists; still privileged where the birth was */
  | 'threads'
  /** last, in this order of the list: what must not act before all else is done (timers, credentials) */
  | 'final';

export interface ProcessSubject {
  readonly process: TracedProcess;
  /** tells the user about something that is not saved exactly; a refusal ends the dump after the collection */
  readonly report: (finding: Finding) => void;
  /** text of its /proc/PID/status as the freeze found it: read once for all kinds, to be parsed after the thaw */
  readonly statusText: () => string;
  /** a step for later in the freeze, when all batches are answered: for what is seldom worth asking */
  readonly afterwards: (step: () => void) => void;
}

export interface ThreadSubject {
  readonly thread: TracedThread;
  readonly process: ProcessSubject;
  /** the same of its /proc/PID/task/TID/status */
  readonly statusText: () => string;
}

/** For a kind with an image of its own: when all records of the tree are there, and the application runs. */
export type Complete = (records: readonly ProcessRecord[], images: ImageWriter) => void;

/**
 * State of a whole process.
 *
 * `collect` runs in the freeze: it takes facts from outside, as raw as they come, queues remote calls on the shared batch
 * and returns what to do once they are answered: to decode both into this kind's fields of the messages. That runs after the
 * thaw: it must ask the application nothing and can report nothing. `restore` queues calls on the builder's batch.
 */
export interface ProcessKind {
  readonly name: string;
  readonly scope: 'process';
  readonly stage: Stage;
  collect(subject: ProcessSubject, remote: RemoteBatch): (record: ProcessRecord) => void;
  readonly complete?: Complete;
  restore(saved: SavedProcess, builder: ProcessBuilder): void;
}

/** State of each thread; as {@link ProcessKind}. */
export interface ThreadKind {
  readonly name: string;
  readonly scope: 'thread';
  readonly stage: Stage;
  collect(subject: ThreadSubject, remote: RemoteBatch): (core: CoreDraft) => void;
  readonly complete?: Complete;
  restore(core: CoreEntry, builder: ThreadBuilder): void;
}

export type StateKind = ProcessKind | ThreadKind;
