// One tree of a dump: collected in the freeze, written out afterwards.
import { join } from 'node:path';
import { type CollectedTree, collectTree } from './collect.ts';
import type { Finding } from './finding.ts';
import type { HeldApplication } from './held-application.ts';
import { ImageWriter } from './image/writer.ts';
import { reserveDescriptors } from './linux/descriptors.ts';
import type { ProcessMemory } from './memory/mappings.ts';
import type { PagePlan } from './memory/page-plan.ts';
import { PagesIds } from './memory/pages-file.ts';
import type { PageCopies } from './memory/page-copies.ts';
import { NOTHING, type OlderPages, ParentPages } from './memory/parent-pages.ts';
import { type PageSource, savePages } from './memory/save-pages.ts';
import type { PreCopied } from './pre-copy.ts';
import { preCopyFolder } from './pre-copy-tree.ts';
import type { DumpTask, DumpTree, Requirements, TreeReport } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { SizeLimitError } from './size-limit.ts';
import type { Snapshots } from './snapshots.ts';
import { foreseeFiles } from './state/files/foresight.ts';
import { FileRegistry } from './state/files/registry.ts';
import type { PairedConnections } from './state/files/tcp-pairs-dump.ts';
import { savesIpc } from './state/ipc/ipc-namespace.ts';
import type { ProcessRecord } from './state/records.ts';
import { isGone } from './tracee/attach.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import { writeState } from './write-state.ts';
import type { WriteTracking } from './write-tracking.ts';

const PAGE_BYTES = 4096;
/** Of our own, in a freeze. */
const SPARE_DESCRIPTORS = 256;

/** What every tree of a dump is prepared with. */
export interface DumpPreparation {
  readonly application: HeldApplication;
  readonly task: DumpTask;
  readonly tracking: WriteTracking;
  readonly preCopied: PreCopied;
  /** absent where none is kept by pairs */
  readonly connections?: PairedConnections | undefined;
}

export interface LivingProcess {
  readonly record: ProcessRecord;
  readonly memory: ProcessMemory;
}

export class TreeDump {
  readonly #tree: DumpTree;
  readonly #task: DumpTask;
  readonly #images: ImageWriter;
  readonly #files: FileRegistry;
  readonly #pagesIds = new PagesIds();
  readonly #tracking: WriteTracking;
  #parent: ParentPages | undefined;
  /** of images that were made before the freeze; undefined for none */
  readonly #preCopiedBytes: number | undefined;
  /** of these, pages that still count */
  #keptBytes = 0;
  #pageBytes = 0;
  #sharedBytes = 0;
  #bytes = 0;
  #complete = false;
  #found: CollectedTree | undefined;

  private constructor(tree: DumpTree, preparation: DumpPreparation) {
    const { task, tracking, preCopied, connections } = preparation;
    this.#tree = tree;
    this.#task = task;
    this.#tracking = tracking;
    this.#images = new ImageWriter(tree.imagesDir);
    this.#preCopiedBytes = preCopied.bytes.get(tree.name);
    if (this.#preCopiedBytes !== undefined) this.#parent = new ParentPages(preCopyFolder(tree));
    else if (tree.parent !== undefined) this.#parent = this.#openParent(tree.parent);
    this.#files = new FileRegistry({ ...task, ...(connections && { connections }) });
  }

  #openParent(path: string): ParentPages {
    const parent = new ParentPages(join(this.#tree.imagesDir, path));
    this.#images.linkParent(path);
    return parent;
  }

  /** Looks at the names of its files while it runs. */
  static prepare(tree: DumpTree, preparation: DumpPreparation): TreeDump {
    const dump = new TreeDump(tree, preparation);
    let descriptors = SPARE_DESCRIPTORS;
    for (const [process, { mappings }] of preparation.application.mappings) {
      descriptors += foreseeFiles(dump.#files, process.pid, mappings);
      // Read now: in the freeze it would be the application's time.
      dump.#readOlder(process);
    }
    // The freeze duplicates them.
    reserveDescriptors(descriptors);
    return dump;
  }

  #readOlder(process: TracedProcess): void {
    if (!this.#parent) return;
    let nsPid: number;
    try {
      ({ nsPid } = process);
    } catch (error) {
      // It has ended, and the tracer has not heard of it yet.
      if (isGone(error)) return;
      throw error;
    }
    this.#parent.of(nsPid);
  }

  /** In the freeze, once. */
  collect({ tracer, mappings, trees }: HeldApplication): void {
    const options = { files: this.#files, mappings, savesIpc: savesIpc(this.#tree, trees) };
    this.#found = collectTree(tracer, this.#tree.rootPid, options);
  }

  get #collected(): CollectedTree {
    if (!this.#found) throw new Error(`nothing of ${this.#tree.name} was collected`);
    return this.#found;
  }

  get findings(): readonly Finding[] {
    return this.#collected.findings.map((finding) => ({ ...finding, tree: this.#tree.name }));
  }

  get living(): LivingProcess[] {
    return this.#collected.members.flatMap(({ record, memory }) =>
      memory ? [{ record, memory }] : [],
    );
  }

  /** What older images have of a process. */
  #older({ record }: LivingProcess): OlderPages {
    return this.#parent?.of(record.pid) ?? NOTHING;
  }

  /**
   * In the freeze: copies what of a process is in no older images.
   *
   * @returns undefined when a snapshot is the shorter way, or nobody knows what has changed
   */
  copyMissing(living: LivingProcess): PageCopies | undefined {
    const { process, anonymousBytes } = living.memory;
    const watch = this.#tracking.watchOf(process);
    return watch?.copyMissing(this.#older(living), anonymousBytes) ? watch.copies : undefined;
  }

  /** Bytes of all images, once sealed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Shared memory and files keep changing beside a snapshot: they are copied still in the freeze. */
  copyVolatile(): void {
    this.#collected.descriptors.copyVolatile(this.#images);
    this.#collected.sharedMemory.copy(this.#images, this.#pagesIds);
  }

  /** Reads snapshots and copies; the application may run. */
  savePages(snapshots: Snapshots, reporter: Reporter): void {
    for (const living of this.living) {
      const source = snapshots.of(living.memory);
      if (source) this.#savePages(living, source, reporter);
    }
  }

  /**
   * Reads the originals, which stand still: all, or those without a snapshot.
   *
   * @param checkLimit called after every transfer, may throw to give up
   */
  saveStandingPages(
    snapshots: Snapshots | undefined,
    reporter: Reporter,
    checkLimit: () => void,
  ): void {
    for (const living of this.living) {
      if (!snapshots?.of(living.memory)) {
        this.#savePages(living, undefined, reporter, checkLimit);
      }
    }
  }

  #savePages(
    living: LivingProcess,
    source: PageSource | undefined,
    reporter: Reporter,
    checkLimit = (): void => undefined,
  ): void {
    const { memory, record } = living;
    this.#completeRecords();
    const plan = this.#tracking.watchOf(memory.process)?.plan(this.#older(living));
    if (plan && this.#preCopiedBytes !== undefined) this.#keptBytes += inheritedBytes(plan);
    this.#pageBytes += savePages(memory, record, source, {
      images: this.#images,
      pagesIds: this.#pagesIds,
      plan,
      progress: (done, total) => {
        checkLimit();
        this.#progress(done, total, reporter);
      },
    });
  }

  #completeRecords(): void {
    if (this.#complete) return;
    this.#collected.complete();
    this.#complete = true;
  }

  #progress(done: number, total: number, reporter: Reporter): void {
    const { maxBytes } = this.#task;
    const all = (this.#preCopiedBytes ?? 0) + this.#pageBytes + total;
    if (maxBytes > 0 && all > maxBytes) throw new SizeLimitError(maxBytes);
    reporter.progress(this.#pageBytes + done, this.#pageBytes + total);
  }

  /** Writes everything else and makes it durable, unless it only passes through. */
  seal(requirements: Requirements, freezeMillis: number): void {
    const images = this.#images;
    this.#completeRecords();
    this.#sharedBytes = this.#collected.sharedMemory.save(images, this.#pagesIds);
    this.#collected.descriptors.save(images);
    this.#collected.ipc?.save(images);
    writeState(this.#collected, images, requirements, {
      frozenMicros: Math.round(freezeMillis * 1000),
      pagesWritten: BigInt(this.#pageBytes / PAGE_BYTES),
      sharedPagesWritten: BigInt(this.#sharedBytes / PAGE_BYTES),
      establishedClosed: this.#task.establishedSockets === 'Close',
    });
    const sealed = images.seal({ durable: this.#task.passing !== true });
    this.#bytes = sealed.bytes + (this.#preCopiedBytes ?? 0);
  }

  describe(): TreeReport {
    const { members } = this.#collected;
    const threads = members.reduce((sum, { record }) => sum + record.threads.length, 0);
    return {
      name: this.#tree.name,
      processes: members.length,
      threads,
      memoryBytes: this.#keptBytes + this.#pageBytes + this.#sharedBytes,
    };
  }

  /** All is on disk: the originals end next. */
  beforeEnd(): void {
    this.#collected.descriptors.beforeEnd();
  }

  /** Gives back what the dump still holds of the tree. */
  [Symbol.dispose](): void {
    this.#files.sharedMemory[Symbol.dispose]();
    this.#files[Symbol.dispose]();
    this.#parent?.[Symbol.dispose]();
    this.#images[Symbol.dispose]();
  }
}

const inheritedBytes = ({ runs, bytes }: PagePlan): number =>
  runs.reduce((sum, { start, end }) => sum + Number(end - start), 0) - bytes;
