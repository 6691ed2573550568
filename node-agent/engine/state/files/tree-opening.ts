// The opening of all files of one tree: each once, held by the engine, then handed to every process that had it.
import { SYS } from '../../arch/x86-64.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import { closeFd, type OwnedFd } from '../../linux/descriptors.ts';
import { statBelow } from '../../linux/file-facts.ts';
import { seekTo } from '../../linux/sparse.ts';
import type { SharedMemoryRestore } from '../../memory/shared-memory-restore.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { CarriedConnections } from './carried-connections.ts';
import { DescriptorTable } from './descriptor-table.ts';
import type { EndedProcess } from './ended-process.ts';
import type { FileKind, HeldFile, Opened } from './file-kind.ts';
import type { FileOpening, FileTargetOptions, WantedDescriptor } from './file-opening.ts';
import type { GhostFiles } from './ghost-restore.ts';
import { openInherited, savedFlags } from './inherited.ts';
import { FILE_KINDS } from './kinds.ts';
import { restoreLocks } from './locks-restore.ts';
import { openFromOutside } from './outside-open.ts';
import { ownedMember, restoreOwner } from './owner.ts';
import { fileSystemIds, giveTo } from './remote-open.ts';
import type { Terminals } from './terminals.ts';
import { pathHere } from './volume-path.ts';
import type { SavedFiles } from './saved-files.ts';
import type { PairRestore } from './tcp-pairs-restore.ts';

/** What is saved, and where it is to live. */
export interface FilePlace {
  readonly saved: SavedFiles;
  readonly options: FileTargetOptions;
  /** root directory of the tree's mount namespace */
  readonly target: OwnedFd;
  readonly ghosts: GhostFiles;
  readonly ended: EndedProcess;
  readonly sharedMemory: SharedMemoryRestore;
  readonly terminals: Terminals;
  readonly pairs: PairRestore;
  readonly carried: CarriedConnections;
  /** {@link Inheritance.fds} */
  readonly inherited: ReadonlyMap<number, number>;
}

/** Path of a file in the tree; of an unlinked one the name that it has for now. Undefined for what has no path. */
export function pathOf(id: number, place: FilePlace): string | undefined {
  const { saved, ghosts, target, ended } = place;
  const { reg } = saved.entry(id);
  if (!reg) return undefined;
  if (saved.isOfEnded(id)) return ended.path(reg.name);
  const ghost = saved.ghostOf(id);
  const exists = (path: string): boolean => statBelow(target, path) !== undefined;
  return ghost === undefined
    ? pathHere(reg.name, exists)
    : ghosts.materialise(ghost, reg.name, saved.keepsName(id)).path;
}

/** The opening of all files of one tree. */
export class TreeOpening implements FileOpening {
  readonly #place: FilePlace;
  readonly builders: readonly ProcessBuilder[];
  readonly #tables: ReadonlyMap<ProcessBuilder, DescriptorTable>;
  readonly #wanted = new Map<number, WantedDescriptor[]>();
  readonly #opened = new Map<number, Opened>();
  /** files that a process keeps which wants them */
  readonly #held = new Map<number, HeldFile>();
  /** the engine's own descriptors */
  readonly #fds = new Map<number, number>();
  readonly #ofKind = new Map<FileKind, FileEntry[]>();
  readonly #shared = new Map<string, unknown>();
  readonly #steps: (() => void)[] = [];
  readonly #lastSteps: (() => void)[] = [];

  constructor(builders: readonly ProcessBuilder[], place: FilePlace) {
    this.#place = place;
    this.builders = builders;
    for (const builder of builders) {
      for (const { id, fd, flags } of builder.saved.fdinfo) {
        const holders = this.#wanted.get(id) ?? [];
        holders.push({ builder, fd, closeOnExec: flags !== 0 });
        this.#wanted.set(id, holders);
      }
    }
    this.#tables = new Map(builders.map((builder) => [builder, new DescriptorTable(builder)]));
  }

  get saved(): SavedFiles {
    return this.#place.saved;
  }

  get options(): FileTargetOptions {
    return this.#place.options;
  }

  get target(): OwnedFd {
    return this.#place.target;
  }

  get sharedMemory(): SharedMemoryRestore {
    return this.#place.sharedMemory;
  }

  get terminals(): Terminals {
    return this.#place.terminals;
  }

  get pairs(): PairRestore {
    return this.#place.pairs;
  }

  get carried(): CarriedConnections {
    return this.#place.carried;
  }

  get root(): ProcessBuilder {
    const [root] = this.builders;
    if (!root) throw new Error('a tree without processes');
    return root;
  }

  ownerOf(id: number): ProcessBuilder {
    return this.#wanted.get(id)?.[0]?.builder ?? this.root;
  }

  wantedOf(id: number): readonly WantedDescriptor[] {
    return this.#wanted.get(id) ?? [];
  }

  descriptor(pid: number, fd: number) {
    const builder = this.builders.find(({ saved }) => saved.pid === pid);
    const entry = builder?.saved.fdinfo.find((candidate) => candidate.fd === fd);
    if (!builder || !entry) return undefined;
    return { builder, fd, closeOnExec: entry.flags !== 0, id: entry.id };
  }

  isInherited(id: number): boolean {
    return this.#place.inherited.has(id);
  }

  flagsOf(id: number): number {
    return ownedMember(this.saved.entry(id))?.flags ?? 0;
  }

  pathOf(id: number): string {
    const path = pathOf(id, this.#place);
    if (path === undefined) throw new Error(`file ${id} has no path`);
    return path;
  }

  engineFd(id: number): number {
    this.#open(id);
    let fd = this.#fds.get(id);
    const held = this.#held.get(id);
    if (fd === undefined) {
      if (!held) throw new Error(`file ${id} is not open`);
      fd = this.#tableOf(held.builder).pullHeld(id, held);
      this.#fds.set(id, fd);
    }
    return fd;
  }

  #open(id: number): void {
    if (this.#fds.has(id) || this.#held.has(id)) return;
    const opened = (this.#opened.get(id) ?? this.#queue(this.saved.entry(id)))();
    if (typeof opened === 'number') {
      this.#fds.set(id, opened);
      return;
    }
    const { builder, number, engineFd } = opened;
    if (this.wantedOf(id).some((wanted) => wanted.builder === builder)) {
      this.#held.set(id, opened);
      if (engineFd !== undefined) this.#fds.set(id, engineFd);
    } else this.#fds.set(id, engineFd ?? this.#takeOver(builder, number));
  }

  #takeOver(builder: ProcessBuilder, number: number): number {
    const fd = this.pull(builder, number);
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.close, number);
    return fd;
  }

  /** @throws Error for a file that no kind opens */
  #queue(entry: FileEntry): Opened {
    const inherited = this.#place.inherited.get(entry.id);
    const kind = kindOf(entry);
    const opened =
      inherited === undefined
        ? kind.open(entry, this)
        : () => openInherited(inherited, savedFlags(entry, this.saved));
    const others = this.#ofKind.get(kind);
    if (others) others.push(entry);
    else this.#ofKind.set(kind, [entry]);
    this.#opened.set(entry.id, opened);
    return opened;
  }

  pull(builder: ProcessBuilder, fd: number): number {
    return this.#tableOf(builder).pull(fd);
  }

  push(builder: ProcessBuilder, fds: readonly number[]): number[] {
    return this.#tableOf(builder).push(fds);
  }

  #tableOf(builder: ProcessBuilder): DescriptorTable {
    const table = this.#tables.get(builder);
    if (!table) throw new Error(`process ${builder.saved.pid} has no table`);
    return table;
  }

  withNumber(builder: ProcessBuilder, id: number, number: number, use: () => void): void {
    this.#tableOf(builder).withNumber(this.engineFd(id), number, use);
  }

  openThere(id: number, flags: number, position: bigint | undefined): Opened {
    const asEngine = (): number => {
      const fd = this.openAsEngine(id, flags);
      if (position !== undefined) seekTo(fd, position);
      return fd;
    };
    if (this.saved.ghostOf(id) !== undefined) return asEngine;
    const builder = this.ownerOf(id);
    const { fd: wanted, closeOnExec = true } = this.wantedOf(id)[0] ?? {};
    const file = { path: this.pathOf(id), flags, position, wanted, closeOnExec };
    const opened = this.#tableOf(builder).opens.add(file);
    return () => {
      const number = opened();
      return number === undefined ? asEngine() : { builder, number, closeOnExec };
    };
  }

  openRemotely(id: number, flags: number, builder: ProcessBuilder): () => number {
    const asEngine = (): number => this.openAsEngine(id, flags);
    if (this.saved.ghostOf(id) !== undefined) return asEngine;
    const file = { path: this.pathOf(id), flags, position: undefined, wanted: undefined };
    const opened = this.#tableOf(builder).opens.add({ ...file, closeOnExec: true });
    return () => {
      const number = opened();
      return number === undefined ? asEngine() : this.#takeOver(builder, number);
    };
  }

  openAsEngine(id: number, flags: number): number {
    return openFromOutside(this.target, this.pathOf(id), flags);
  }

  giveTo(id: number, fd: number): void {
    const owner = this.ownerOf(id);
    giveTo(
      this.once(`user ids of ${owner.saved.pid}`, () => fileSystemIds(owner)),
      fd,
    );
  }

  once<T>(key: string, make: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, make());
    return this.#shared.get(key) as T;
  }

  whenPlaced(step: () => void): void {
    this.#steps.push(step);
  }

  whenFilesAreDone(step: () => void): void {
    this.#lastSteps.push(step);
  }

  openAll(): void {
    // First everything is queued, so that each process opens all its files in one batch.
    for (const id of this.#wanted.keys())
      if (!this.#opened.has(id)) this.#queue(this.saved.entry(id));
    for (const id of this.#wanted.keys()) this.#open(id);
    const sources = {
      held: (id: number) => this.#held.get(id),
      engineFd: (id: number) => this.engineFd(id),
    };
    for (const table of this.#tables.values()) table.place(sources);
    for (const step of this.#steps.splice(0)) step();
  }

  finish(): void {
    for (const kind of FILE_KINDS) {
      if (!kind.finish) continue;
      for (const entry of this.#ofKind.get(kind) ?? []) kind.finish(entry, this);
    }
    this.terminals.finish(this.builders);
    restoreLocks(this);
    for (const id of this.#opened.keys()) restoreOwner(this.saved.entry(id), this);
    for (const builder of this.builders) builder.flush();
  }

  /** After {@link finish}, when unlinked files have lost their names. */
  finishLast(): void {
    for (const step of this.#lastSteps.splice(0)) step();
  }

  /** Takes our channels out of the processes. */
  close(): void {
    for (const table of this.#tables.values()) table.close();
  }

  closeEngineFds(): void {
    for (const fd of this.#fds.values()) closeFd(fd);
    this.#fds.clear();
  }
}

/** @throws Error for a file that no kind opens; `checkFiles` says so before the first change */
function kindOf(entry: FileEntry): FileKind {
  const kind = FILE_KINDS.find((candidate) => candidate.restores(entry));
  if (!kind) throw new Error(`files.img has a file of type ${entry.type} that cannot be opened`);
  return kind;
}
