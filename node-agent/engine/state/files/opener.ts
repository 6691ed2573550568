// The files of a restored tree, as the story of the restore sees them.
import type { ImageReader } from '../../image/reader.ts';
import { encodeText } from '../../image/text.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { O, openPath } from '../../linux/file-facts.ts';
import { SharedMemoryRestore } from '../../memory/shared-memory-restore.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { SavedTree } from '../records.ts';
import type { FileTargetOptions } from './file-opening.ts';
import { CarriedConnections, carriedEntries } from './carried-connections.ts';
import { EndedProcess } from './ended-process.ts';
import { GhostFiles } from './ghost-restore.ts';
import { planInheritance } from './inherited.ts';
import { SavedFiles } from './saved-files.ts';
import type { PairRestore } from './tcp-pairs-restore.ts';
import { Terminals } from './terminals.ts';
import { type FilePlace, pathOf, TreeOpening } from './tree-opening.ts';

/**
 * One for each restored tree. {@link path} works at once; {@link openAll} when the processes have their memory (an exec
 * closes descriptors) and before they enter their root and directory; {@link finish} when all threads exist.
 */
export class FileOpener {
  readonly sharedMemory: SharedMemoryRestore;
  readonly #place: FilePlace;
  #opening: TreeOpening | undefined;
  #open = true;

  /**
   * @param tree      the saved tree that the images belong to
   * @param options   where the tree is to live, {@link targetOf}
   * @param pairs     takes the connections between saved processes
   * @throws ImageError when files.img or remap-fpath.img cannot be read
   */
  constructor(
    images: ImageReader,
    tree: SavedTree,
    options: FileTargetOptions,
    pairs: PairRestore,
  ) {
    const target = new OwnedFd(openPath(options.root, O.PATH | O.DIRECTORY));
    this.sharedMemory = new SharedMemoryRestore(images);
    const saved = new SavedFiles(images);
    const hasCarried = options.rewound && carriedEntries(saved).length > 0;
    this.#place = {
      saved,
      inherited: planInheritance(saved, tree, options.inherited).fds,
      options,
      target,
      ghosts: new GhostFiles(images, target),
      ended: new EndedProcess(options.networkPid),
      sharedMemory: this.sharedMemory,
      terminals: new Terminals(images, target),
      pairs,
      // Now: the placeholder closes them when it becomes the saved program.
      carried: new CarriedConnections(hasCarried ? options.networkPid : undefined),
    };
  }

  /**
   * Path under which a file can be opened in the tree, with one Latin-1 character a byte as {@link RemoteBatch.text}
   * takes it; of an unlinked file a name that it gets for now. Undefined for what has no path.
   */
  path(id: number): string | undefined {
    const { entries } = this.#place.saved;
    const path = entries.has(id) ? pathOf(id, this.#place) : undefined;
    return path === undefined ? undefined : Buffer.from(encodeText(path)).toString('latin1');
  }

  /** The terminals of the tree: {@link Terminals.attach} wants every session that begins. */
  get terminals(): Terminals {
    return this.#place.terminals;
  }

  /** The engine's own descriptor of a file; from {@link openAll} up to {@link finish}. It stays the opener's. */
  engineFd(id: number): number {
    if (!this.#opening) throw new Error(`file ${id} is asked for before any file is open`);
    return this.#opening.engineFd(id);
  }

  /** Opens everything and puts it at the numbers that the application knows, in every process. */
  openAll(builders: readonly ProcessBuilder[]): void {
    this.#opening = new TreeOpening(builders, this.#place);
    this.#opening.openAll();
  }

  /** What needs every descriptor, or starts to act: epoll sets, timers, owners; names of unlinked files go again. */
  finish(_builders?: readonly ProcessBuilder[]): void {
    this.#opening?.finish();
    this.sharedMemory.seal();
    this.#opening?.close();
    this.#place.ghosts.unlink();
    this.#place.ended[Symbol.dispose]();
    this.#place.ghosts[Symbol.dispose]();
    this.#opening?.finishLast();
    this.close();
  }

  /** Gives everything back, after success or failure. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#opening?.closeEngineFds();
    this.#opening = undefined;
    this.#place.ghosts[Symbol.dispose]();
    this.#place.ended[Symbol.dispose]();
    this.sharedMemory[Symbol.dispose]();
    this.#place.terminals[Symbol.dispose]();
    this.#place.carried[Symbol.dispose]();
    this.#place.target[Symbol.dispose]();
  }
}
