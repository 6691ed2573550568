// What a kind sees of the dump that it is a part of.
import type { EstablishedSockets, FileLocks, OutsidePeers } from '../../protocol.ts';
import type { ImageWriter } from '../../image/writer.ts';
import type { ProcessSubject } from '../state-kind.ts';
import type { OpenFile } from './open-file.ts';
import type { FileRegistry } from './registry.ts';

export interface FileOptions {
  readonly establishedSockets: EstablishedSockets;
  /** absent: kept */
  readonly fileLocks?: FileLocks;
  /** absent: refused */
  readonly outsidePeers?: OutsidePeers;
  /** unlinked files above this size are refused */
  readonly maxGhostBytes: number;
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
  /** runs when the application runs again */
  afterThaw(write: (images: ImageWriter) => void): void;
}
