// One tree of a dump: collected in the freeze, written out afterwards.
import { type CollectedTree, collectTree } from './collect.ts';
import type { Finding } from './finding.ts';
import type { HeldApplication } from './held-application.ts';
import { ImageWriter } from './image/writer.ts';
import type { ProcessMemory } from './memory/mappings.ts';
import { savePages } from './memory/page-pump.ts';
import { PagesIds } from './memory/pages-file.ts';
import type { DumpTask, DumpTree, Requirements, TreeReport } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import type { ProcessRecord } from './state/records.ts';
import type { TracedProcess } from './tracee/traced-process.ts';
import { writeState } from './write-state.ts';

const PAGE_BYTES = 4096;

export interface LivingProcess {
  readonly process: TracedProcess;
  readonly record: ProcessRecord;
  readonly memory: ProcessMemory;
}

export class TreeDump {
  readonly #tree: DumpTree;
  readonly #task: DumpTask;
  readonly #collected: CollectedTree;
  readonly #images: ImageWriter;
  readonly #pagesIds = new PagesIds();
  #pageBytes = 0;
  #sharedBytes = 0;
  #bytes = 0;

  private constructor(tree: DumpTree, task: DumpTask, collected: CollectedTree) {
    this.#tree = tree;
    this.#task = task;
    this.#collected = collected;
    this.#images = new ImageWriter(tree.imagesDir);
  }

  static collect(tree: DumpTree, application: HeldApplication, task: DumpTask): TreeDump {
    const options = { ...task, mappings: application.mappings };
    const collected = collectTree(application.tracer, tree.rootPid, options);
    return new TreeDump(tree, task, collected);
  }

  get findings(): readonly Finding[] {
    return this.#collected.findings;
  }

  get living(): LivingProcess[] {
    return this.#collected.members.flatMap(({ member, record, memory }) =>
      member.process && memory ? [{ process: member.process, record, memory }] : [],
    );
  }

  /** Bytes of all images, once sealed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What a snapshot does not hold still: memory that is shared, content of pipes. Still in the freeze. */
  copyVolatile(): void {
    this.#collected.sharedMemory.copy(this.#images, this.#pagesIds);
  }

  /**
   * Writes the pages.
   *
   * @param source the process that holds the pages of one of ours: its snapshot, or itself while it is stopped
   */
  savePages(source: (process: TracedProcess) => TracedProcess, reporter: Reporter): void {
    const { maxBytes } = this.#task;
    this.living.forEach(({ process, record }, i) => {
      this.#pages += savePages({
        source: source(process),
        record,
        images: this.#images,
        pagesId: i + 1,
        maxBytes,
        progress: (done, total) => reporter.progress(done, total),
      });
    });
  }

  /** Writes everything else and makes it durable. */
  seal(requirements: Requirements, freezeMillis: number): void {
    const images = this.#images;
    const sharedPages = this.#shared?.save(images, this.living.length + 1) ?? 0;
    this.#collected.descriptors.save(images);
    writeState(this.#collected, images, requirements, {
      frozenMicros: Math.round(freezeMillis * 1000),
      pagesWritten: BigInt(this.#pages),
      sharedPagesWritten: BigInt(sharedPages),
      establishedClosed: this.#task.establishedSockets === 'Close',
    });
    this.#bytes = images.seal().bytes;
  }

  describe(): TreeReport {
    const { members } = this.#collected;
    const threads = members.reduce((sum, { record }) => sum + record.threads.length, 0);
    return {
      name: this.#tree.name,
      processes: members.length,
      threads,
      memoryBytes: this.#pages * PAGE_BYTES,
    };
  }

  /** Closes what the dump still holds of the tree. */
  [Symbol.dispose](): void {
    this.#shared?.[Symbol.dispose]();
    this.#images[Symbol.dispose]();
  }
}
