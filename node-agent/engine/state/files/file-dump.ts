// What a kind sees of the dump that it is a part of.
import type { LockTool } from '../../linux/connection-lock.ts';
import type { AfterDump, EstablishedSockets, FileLocks, OutsidePeers } from '../../protocol.ts';
import type { ImageWriter } from '../../image/writer.ts';
import type { ProcessSubject } from '../state-kind.ts';
import type { OpenFile } from './open-file.ts';
import type { PairedConnections } from './tcp-pairs-dump.ts';
import type { FileRegistry } from './registry.ts';

export interface FileOptions {
  readonly establishedSockets: EstablishedSockets;
  /** `Kill` leaves connections locked for the restore */
  readonly afterDump?: AfterDump;
  /** absent: nftables */
  readonly lockTool?: LockTool;
  /** with `KeepPairs`: the connections of all trees of the dump */
  readonly connections?: PairedConnections;
  readonly skipInFlight?: boolean;
  /** absent: kept */
  readonly fileLocks?: FileLocks;
  /** absent: refused */
  readonly outsidePeers?: OutsidePeers;
  /** absent: refused, but at a standard number */
  readonly outsidePipes?: OutsidePeers;
  /** resources that are not saved, as {@link Externals} takes them */
  readonly external?: readonly string[];
  /** unlinked files above this size are refused */
  readonly maxGhostBytes: number;
}

/** What must happen to what a dump still holds of the application. */
export interface DoneStep {
  /** everything is on disk, and the application ends next */
  beforeEnd(): void;
  /** it goes on, whatever happened; also called after {@link beforeEnd} */
  release(): void;
}

export interface FileDump {
  readonly options: FileOptions;
  readonly registry: FileRegistry;
  readonly subjects: readonly ProcessSubject[];
  /** every open file with this link text that is known so far: for pipes and sockets those of one inode */
  filesOf(link: string): readonly OpenFile[];
  /** every open file of an inode number that is known so far, of whatever file system */
  filesOfInode(ino: bigint): readonly OpenFile[];
  /** what several files need, made once */
  once<T>(key: string, make: () => T): T;
  /** file id of what a descriptor of the engine leads to: found in a queue. The engine's descriptor is taken over */
  describe(engineFd: number, subject: ProcessSubject): number;
  /** runs in the freeze, when every open file of the tree is known */
  whenAllKnown(step: () => void): void;
  /** runs when the dump is done with the application: it goes on or it ends */
  whenDone(step: DoneStep): void;
  /** runs when the application runs again */
  afterThaw(write: (images: ImageWriter) => void): void;
}
