// The contract of a kind of open file: recognised, collected and opened again in one file. `kinds.ts` is the only register.
import type { Finding } from '../../finding.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';
import type { FileOpening, FileTarget } from './file-opening.ts';

/**
 * A file that the process which opened it keeps, at whatever number, until it is put where the application knows it. The
 * engine takes a descriptor of its own only where somebody needs one.
 */
export interface HeldFile {
  readonly builder: ProcessBuilder;
  readonly number: number;
  readonly closeOnExec: boolean;
  /** the engine's own, where it was needed already; from now on the opening's */
  readonly engineFd?: number | undefined;
}

/** Gives the engine's descriptor, or who has the file, once the remote calls that were queued for it have run. */
export type Opened = () => number | HeldFile;

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
