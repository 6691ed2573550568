// Opens the files of a restored tree: each once, held by the engine, then handed to every process that had it.
import type { FileEntry } from '../../image/messages/files.ts';
import type { ImageReader } from '../../image/reader.ts';
import { encodeText } from '../../image/text.ts';
import { closeFd, OwnedFd } from '../../linux/descriptors.ts';
import { check } from '../../linux/error.ts';
import { O, openBelow, openPath } from '../../linux/file-facts.ts';
import { SharedMemoryRestore } from '../../memory/shared-memory-restore.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { SavedTree } from '../records.ts';
import { DescriptorTable } from './descriptor-table.ts';
import type { FileKind, Opened } from './file-kind.ts';
import type { FileOpening, FileTargetOptions, WantedDescriptor } from './file-opening.ts';
import { GhostFiles } from './ghost-restore.ts';
import { FILE_KINDS } from './kinds.ts';
import { restoreOwner } from './owner.ts';
import { giveTo, queueOpen } from './remote-open.ts';
import { SavedFiles } from './saved-files.ts';

/**
 * One for each restored tree. {@link path} works at once; {@link openAll} when the processes have their memory (an exec
 * closes descriptors) and before they enter their root and directory; {@link finish} when all threads exist.
 */
export class FileOpener {
  readonly #saved: SavedFiles;
  readonly #root: OwnedFd;
  readonly #ghosts: GhostFiles;
  readonly sharedMemory: SharedMemoryRestore;
  #opening: TreeOpening | undefined;

  /**
   * @param _tree     the saved tree that the images belong to
   * @param options   where the tree is to live, {@link targetOf}
   * @throws ImageError when files.img or remap-fpath.img cannot be read
   */
  constructor(images: ImageReader, _tree: SavedTree, options: FileTargetOptions) {
    this.#saved = new SavedFiles(images);
    this.#root = new OwnedFd(openPath(options.root, O.PATH | O.DIRECTORY));
    this.#ghosts = new GhostFiles(images, this.#root);
    this.sharedMemory = new SharedMemoryRestore(images);
  }

  /**
   * Path under which a file can be opened in the tree, with one Latin-1 character a byte as {@link RemoteBatch.text}
   * takes it; of an unlinked file a name that it gets for now. Undefined for what has no path.
   */
  path(id: number): string | undefined {
    const path = this.#saved.entries.has(id) ? pathOf(id, this.#saved, this.#ghosts) : undefined;
    return path === undefined ? undefined : Buffer.from(encodeText(path)).toString('latin1');
  }

  /** The engine's own descriptor of a file; from {@link openAll} up to {@link finish}. It stays the opener's. */
  engineFd(id: number): number {
    if (!this.#opening) throw new Error(`file ${id} is asked for before any file is open`);
    return this.#opening.engineFd(id);
  }

  /** Opens everything and puts it at the numbers that the application knows, in every process. */
  openAll(builders: readonly ProcessBuilder[]): void {
    this.#opening = new TreeOpening(
      builders,
      this.#saved,
      this.#ghosts,
      this.#root,
      this.sharedMemory,
    );
    this.#opening.openAll();
  }

  /** What needs every descriptor, or starts to act: epoll sets, timers, owners; names of unlinked files go again. */
  finish(_builders?: readonly ProcessBuilder[]): void {
    this.#opening?.finish();
    this.sharedMemory.seal();
    this.#opening?.close();
    this.#ghosts.unlink();
    this.close();
  }

  /** Gives everything back, after success or failure. */
  close(): void {
    this.#opening?.closeEngineFds();
    this.#opening = undefined;
    this.#ghosts[Symbol.dispose]();
    this.sharedMemory[Symbol.dispose]();
    this.#root[Symbol.dispose]();
  }
}

function pathOf(id: number, saved: SavedFiles, ghosts: GhostFiles): string | undefined {
  const { reg } = saved.entry(id);
  if (!reg) return undefined;
  const ghost = saved.ghostOf(id);
  return ghost === undefined ? reg.name : ghosts.materialise(ghost, reg.name).path;
}

/** The opening of all files of one tree. */
class TreeOpening implements FileOpening {
  readonly saved: SavedFiles;
  readonly #builders: readonly ProcessBuilder[];
  readonly #ghosts: GhostFiles;
  readonly target: OwnedFd;
  readonly sharedMemory: SharedMemoryRestore;
  readonly #tables: ReadonlyMap<ProcessBuilder, DescriptorTable>;
  readonly #wanted = new Map<number, WantedDescriptor[]>();
  readonly #opened = new Map<number, Opened>();
  readonly #fds = new Map<number, number>();
  readonly #shared = new Map<string, unknown>();
  readonly #steps: (() => void)[] = [];

  constructor(
    builders: readonly ProcessBuilder[],
    saved: SavedFiles,
    ghosts: GhostFiles,
    target: OwnedFd,
    sharedMemory: SharedMemoryRestore,
  ) {
    this.saved = saved;
    this.sharedMemory = sharedMemory;
    this.target = target;
    this.#builders = builders;
    this.#ghosts = ghosts;
    for (const builder of builders) {
      for (const { id, fd, flags } of builder.saved.fdinfo) {
        const holders = this.#wanted.get(id) ?? [];
        holders.push({ builder, fd, closeOnExec: flags !== 0 });
        this.#wanted.set(id, holders);
      }
    }
    this.#tables = new Map(builders.map((builder) => [builder, new DescriptorTable(builder)]));
  }

  get root(): ProcessBuilder {
    const [root] = this.#builders;
    if (!root) throw new Error('a tree without processes');
    return root;
  }

  ownerOf(id: number): ProcessBuilder {
    return this.#wanted.get(id)?.[0]?.builder ?? this.root;
  }

  wantedOf(id: number): readonly WantedDescriptor[] {
    return this.#wanted.get(id) ?? [];
  }

  pathOf(id: number): string {
    const path = pathOf(id, this.saved, this.#ghosts);
    if (path === undefined) throw new Error(`file ${id} has no path`);
    return path;
  }

  engineFd(id: number): number {
    let fd = this.#fds.get(id);
    if (fd === undefined) {
      const opened = this.#opened.get(id) ?? this.#queue(this.saved.entry(id));
      fd = opened();
      this.#fds.set(id, fd);
    }
    return fd;
  }

  /** @throws Error for a file that no kind opens */
  #queue(entry: FileEntry): Opened {
    const opened = kindOf(entry).open(entry, this);
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

  openRemotely(id: number, flags: number, builder: ProcessBuilder): Opened {
    if (this.saved.ghostOf(id) !== undefined) return () => this.openAsEngine(id, flags);
    return queueOpen(this, builder, this.pathOf(id), flags);
  }

  openAsEngine(id: number, flags: number): number {
    const ghost = this.saved.ghostOf(id);
    const path = this.pathOf(id);
    if (ghost === undefined) {
      return check(openBelow(this.target, path, flags), 'open', { object: path });
    }
    const { fd } = this.#ghosts.materialise(ghost, path);
    return openPath(`/proc/self/fd/${fd}`, flags & ~O.NOFOLLOW);
  }

  giveTo(id: number, fd: number): void {
    giveTo(this.ownerOf(id), fd);
  }

  once<T>(key: string, make: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, make());
    return this.#shared.get(key) as T;
  }

  whenPlaced(step: () => void): void {
    this.#steps.push(step);
  }

  openAll(): void {
    // First everything is queued, so that each process opens all its files in one batch.
    for (const id of this.#wanted.keys())
      if (!this.#opened.has(id)) this.#queue(this.saved.entry(id));
    for (const id of this.#wanted.keys()) this.engineFd(id);
    for (const table of this.#tables.values()) table.place((id) => this.engineFd(id));
    for (const step of this.#steps.splice(0)) step();
  }

  finish(): void {
    for (const kind of FILE_KINDS) {
      if (!kind.finish) continue;
      for (const id of this.#fds.keys()) {
        const entry = this.saved.entry(id);
        if (kindOf(entry) === kind) kind.finish(entry, this);
      }
    }
    for (const [id, fd] of this.#fds) restoreOwner(this.saved.entry(id), fd, this);
    for (const builder of this.#builders) builder.flush();
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
