// The contract of a kind of open file: recognised, collected and opened again in one file. `kinds.ts` is the only register.
import type { Finding } from '../../finding.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';
import type { FileOpening, FileTarget } from './file-opening.ts';

/** Gives the engine's descriptor once the remote calls that were queued for it have run. */
export type Opened = () => number;

export interface FileKind {
  readonly name: string;
  /** Is this open file of this kind? The first kind of the list that says so has it. */
  recognises(file: OpenFile): boolean;
  /**
   * Its message, from facts taken in the freeze; undefined after a refusal was reported. What needs other open files
   * goes into `dump.whenAllKnown`, what can wait for the thaw into `dump.afterThaw`.
   */
  collect(file: OpenFile, dump: FileDump): FileEntry | undefined;
  /** Is this saved file of this kind? */
  restores(entry: FileEntry): boolean;
  /** What stands against opening it here, before the first change. */
  check?(entry: FileEntry, target: FileTarget): Finding[];
  /** Queues on the owner's batch what opens it. */
  open(entry: FileEntry, opening: FileOpening): Opened;
  /** When every descriptor stands at its number: what needs other descriptors, or starts to act. */
  finish?(entry: FileEntry, opening: FileOpening): void;
}
