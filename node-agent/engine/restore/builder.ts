// What a state kind sees of a process or thread that is being rebuilt.
import type { Finding } from '../finding.ts';
import type { Rights } from '../state/credential-reach.ts';
import type { SavedProcess, SavedThread } from '../state/records.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';

/** How the tree is born (design E12). */
export type Birth =
  /** from the placeholder's own unprivileged processes: credentials, seccomp and limits are the pod's */
  | 'morph'
  /** by the engine, privileged, in the caller's namespaces: everything is set */
  | 'standalone';

export interface ProcessBuilder {
  readonly saved: SavedProcess;
  readonly process: TracedProcess;
  readonly birth: Birth;
  /** of all its threads, until they get their own */
  readonly rightsAtBirth: Rights;
  /** batch of the leader; it is run at the end of each stage and whenever it is full */
  readonly batch: RemoteBatch;
  /** runs what is queued, so that answers can be used */
  flush(): void;
  /** flushes when there is no room for so many more calls and bytes of data */
  makeRoom(calls: number, bytes: number): void;
  report(finding: Finding): void;
}

export interface ThreadBuilder {
  readonly saved: SavedThread;
  readonly thread: TracedThread;
  readonly process: ProcessBuilder;
  readonly batch: RemoteBatch;
  flush(): void;
  /** flushes when there is no room for so many more calls and bytes of data */
  makeRoom(calls: number, bytes: number): void;
}
