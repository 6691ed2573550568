// The memory part of a dump of one process, step by step, for tests.
import type { Finding } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import { mmEntry } from '../../image/messages/memory.ts';
import { ImageWriter } from '../../image/writer.ts';
import { FileRegistry } from '../../state/files/registry.ts';
import type { ProcessRecord } from '../../state/records.ts';
import { settle } from '../../tracee/bootstrap-call.ts';
import { RemoteBatch } from '../../tracee/remote-batch.ts';
import { DUMP_LEADER, Resident, SMALL_SLOT } from '../../tracee/resident.ts';
import type { TracedProcess } from '../../tracee/traced-process.ts';
import { Tracer } from '../../tracee/tracer.ts';
import { collectMappings, prepareMappings, type ProcessMemory } from '../mappings.ts';
import { PagesIds } from '../pages-file.ts';
import type { ReapResult } from '../reap.ts';
import { savePages } from '../save-pages.ts';
import type { SharedMemoryDump } from '../shared-memory.ts';
import { discardSnapshot, type Snapshot, takeSnapshot } from '../snapshot.ts';

/** A process that is stopped and collected; let it go. */
export class Session {
  readonly tracer = new Tracer();
  readonly process: TracedProcess;
  readonly memory: ProcessMemory;
  readonly record: ProcessRecord;
  readonly findings: Finding[] = [];
  readonly images: ImageWriter;
  readonly pagesIds = new PagesIds();
  readonly sharedMemory: SharedMemoryDump;
  readonly registry = new FileRegistry({ establishedSockets: 'Fail', maxGhostBytes: 1 << 20 });
  #snapshot: Snapshot | undefined;

  constructor(pid: number, dir: string) {
    this.images = new ImageWriter(dir);
    this.process = this.tracer.seizeTree(pid);
    const prepared = prepareMappings(this.process);
    this.tracer.freeze(1000);
    const threads = this.process.threads.size - 1;
    Resident.map(this.process, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads });
    this.sharedMemory = this.registry.sharedMemory;
    const batch = new RemoteBatch(this.process.leader);
    this.memory = collectMappings(
      {
        process: this.process,
        report: (finding) => this.findings.push(finding),
        statusText: () => '',
        afterwards: () => {},
      },
      prepared,
      { files: this.registry, sharedMemory: this.sharedMemory, hasIpc: false },
      batch,
    );
    batch.run();
    this.sharedMemory.copy(this.images, this.pagesIds);
    this.record = {
      pid: this.process.nsPid,
      pstree: {},
      ids: {},
      mm: {},
      fs: {},
      fdinfo: [],
      threads: [],
      task: {},
      zombie: false,
    };
    this.memory.writeTo(this.record);
  }

  snapshot(): Snapshot {
    this.#snapshot = takeSnapshot(this.tracer, this.memory);
    return this.#snapshot;
  }

  /** Puts the process back and lets it run. */
  letGo(): void {
    Resident.unmap(this.process);
    for (const thread of this.process.threads.values()) settle(thread);
    this.tracer.release(this.process);
  }

  savePages(progress: () => void = () => undefined): number {
    const { images, pagesIds } = this;
    const unchanged = { clean: [], older: [] };
    const sink = { images, pagesIds, unchanged, progress };
    return savePages(this.memory, this.record, this.#snapshot, sink);
  }

  discard(): ReapResult {
    return discardSnapshot(this.tracer, this.#snapshot!);
  }

  seal(): void {
    this.sharedMemory.save(this.images, this.pagesIds);
    this.images.append(IMAGES.mm(this.record.pid), mmEntry.complete(this.record.mm));
    this.registry.save(this.images);
    this.images.seal();
    this.sharedMemory[Symbol.dispose]();
    this.registry[Symbol.dispose]();
  }
}
