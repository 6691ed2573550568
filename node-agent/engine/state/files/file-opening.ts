// What a kind sees of the restore that it is a part of.
import type { OwnedFd } from '../../linux/descriptors.ts';
import type { FileStat } from '../../linux/file-facts.ts';
import type { InheritedDescriptor } from '../../protocol.ts';
import type { SharedMemoryRestore } from '../../memory/shared-memory-restore.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { CarriedConnections } from './carried-connections.ts';
import type { Opened } from './file-kind.ts';
import type { Terminals } from './terminals.ts';
import type { SavedFiles } from './saved-files.ts';
import type { PairRestore } from './tcp-pairs-restore.ts';

export interface FileTargetOptions {
  /**
   * Directory that is the root of the restored tree's mount namespace, as the engine reaches it: `/proc/PID/root` of the
   * placeholder, `/` for a standalone birth
   */
  readonly root: string;
  /** process in whose network namespace the tree is to live, as the engine numbers it */
  readonly networkPid: number;
  /**
   * exact: a file of another size than saved is a refusal (CRIU); tolerant: a loss, for files that the source went on
   * writing after the checkpoint
   */
  readonly fileSizes: 'exact' | 'tolerant';
  /** exact: sockets are bound as they were; pod: to the new pod's address where theirs is gone */
  readonly addresses: 'exact' | 'pod';
  /**
   * what established TCP connections become. reset: as if the other side had reset them, which no program takes for the
   * regular end of a stream; closed: shut in both directions (CRIU's --tcp-close)
   */
  readonly connections: 'reset' | 'closed';
  /** the placeholder is what a rewind left, and holds the connections that went on */
  readonly rewound: boolean;
  /** open descriptors of the engine's that take the place of saved files */
  readonly inherited: readonly InheritedDescriptor[];
}

/** Before the first change: the images and the place where they are to live. */
export interface FileTarget {
  readonly saved: SavedFiles;
  readonly options: FileTargetOptions;
  /** facts of the file at a path of the target, undefined when there is none */
  stat(path: string): FileStat | undefined;
  /** process that findings on a file name: the first that holds it, 0 if none does */
  pidOf(id: number): number;
}

/** One descriptor of the application that is to be restored. */
export interface WantedDescriptor {
  readonly builder: ProcessBuilder;
  readonly fd: number;
  readonly closeOnExec: boolean;
}

export interface FileOpening {
  readonly saved: SavedFiles;
  readonly options: FileTargetOptions;
  readonly sharedMemory: SharedMemoryRestore;
  readonly terminals: Terminals;
  /** connections between saved processes, of all trees */
  readonly pairs: PairRestore;
  /** connections that went on through a rewind */
  readonly carried: CarriedConnections;
  /** the root directory of the tree's mount namespace */
  readonly target: OwnedFd;
  /** builder of the tree's root process */
  readonly root: ProcessBuilder;
  /** of all processes of the tree */
  readonly builders: readonly ProcessBuilder[];
  /** the process that makes a file: the first that holds it, the root for what nobody holds */
  ownerOf(id: number): ProcessBuilder;
  /** everybody who shall have it */
  wantedOf(id: number): readonly WantedDescriptor[];
  /** who has a descriptor, by the saved pid */
  descriptor(pid: number, fd: number): (WantedDescriptor & { readonly id: number }) | undefined;
  /** does a descriptor of the engine's take its place? It is opened by nobody then */
  isInherited(id: number): boolean;
  /** saved open flags of a file */
  flagsOf(id: number): number;
  /** path under which a file can be opened; of an unlinked one the name that it has for now */
  pathOf(id: number): string;
  /** the engine's descriptor of a file, opened or taken from its holder now if it was not yet */
  engineFd(id: number): number;
  /** copies a descriptor of a process into the engine */
  pull(builder: ProcessBuilder, fd: number): number;
  /** puts descriptors of the engine into a process; runs what is queued there */
  push(builder: ProcessBuilder, fds: readonly number[]): number[];
  /** lets a file stand at a number of a process while `use` queues calls there; then what stood there stands there again */
  withNumber(builder: ProcessBuilder, id: number, number: number, use: () => void): void;
  /** queues open(2) of a file's path in its owner, who keeps it */
  openThere(id: number, flags: number, position: bigint | undefined): Opened;
  /** queues open(2) of a file's path in a process; the result is the engine's, the process's own is closed again */
  openRemotely(id: number, flags: number, builder: ProcessBuilder): () => number;
  /** opens a file's path below the root of the tree with the engine's rights */
  openAsEngine(id: number, flags: number): number;
  /** makes the user that a file's owner has the owner of an object without a path */
  giveTo(id: number, fd: number): void;
  /** what several files share, made once */
  once<T>(key: string, make: () => T): T;
  /** runs last of all, when no file is opened, changed or unlinked any more */
  whenFilesAreDone(step: () => void): void;
  /** runs when every descriptor stands at its number, before `finish` of the kinds */
  whenPlaced(step: () => void): void;
}
