// Every descriptor of a stopped tree: which open files there are, who holds them, and what each of them is.
import { readdirSync } from 'node:fs';
import type { FdinfoEntry } from '../../image/messages/files.ts';
import type { ImageWriter } from '../../image/writer.ts';
import { closeFd, compareOpenFiles } from '../../linux/descriptors.ts';
import { readDescriptors } from '../../linux/descriptor-facts.ts';
import { ProcessHandles } from '../../linux/process-handles.ts';
import type { ProcessSubject } from '../state-kind.ts';
import { parseFdInfo } from './fdinfo.ts';
import type { DoneStep, FileDump, FileOptions } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import { FILE_KINDS } from './kinds.ts';
import { LockCollection } from './locks.ts';
import { type DescriptorAt, type Holder, OpenFile, type OpenFileFacts } from './open-file.ts';
import type { FileRegistry } from './registry.ts';
import { regular } from './regular.ts';
import { refuseSharedTables } from './shared-tables.ts';
import { refuseUnsupported } from './unsupported.ts';

/** One descriptor of one table. */
interface Held {
  readonly file: OpenFile;
  readonly holder: Holder;
}

/** The descriptors of a tree; what they hold that can wait is still to be written. */
export interface Collected extends Disposable {
  /** messages of each process, by pid as the engine numbers processes: fdinfo-FILESID.img */
  readonly fdinfo: ReadonlyMap<number, readonly FdinfoEntry[]>;
  /** All is on disk: the application ends next. */
  beforeEnd(): void;
  /** Writes ghost-file-*, in the freeze. */
  copyVolatile(images: ImageWriter): void;
  /**
   * Writes everything else but fdinfo: files.img, pipes-data, fifo-data, sk-queues, remap-fpath, filelocks. The
   * application may run.
   */
  save(images: ImageWriter): void;
}

/**
 * Collects the descriptors of a tree in the freeze. What the application could change as soon as it runs again is
 * copied now; nothing of it is held afterwards.
 *
 * @param subjects live processes, parents first
 */
export function collectDescriptors(
  subjects: readonly ProcessSubject[],
  registry: FileRegistry,
): Collected {
  const collection = new DescriptorCollection(subjects, registry);
  collection.run();
  return collection;
}

class DescriptorCollection implements FileDump, Collected {
  readonly registry: FileRegistry;
  readonly subjects: readonly ProcessSubject[];
  readonly fdinfo = new Map<number, readonly FdinfoEntry[]>();
  readonly #files: OpenFile[] = [];
  readonly #byLink = new Map<string, OpenFile[]>();
  readonly #byInode = new Map<string, OpenFile[]>();
  readonly #shared = new Map<string, unknown>();
  /** open files that look the same from outside, ordered by kcmp(2) */
  readonly #alike = new Map<string, OpenFile[]>();
  readonly #locks = new LockCollection();
  readonly #types = new Map<number, number>();
  readonly #handles = new ProcessHandles();
  /** descriptors of the engine's own that were found in queues */
  readonly #taken: number[] = [];
  readonly #steps: (() => void)[] = [];
  readonly #doneSteps: DoneStep[] = [];
  readonly #writes: ((images: ImageWriter) => void)[] = [];

  constructor(subjects: readonly ProcessSubject[], registry: FileRegistry) {
    this.subjects = subjects;
    this.registry = registry;
  }

  get options(): FileOptions {
    return this.registry.options;
  }

  filesOf(link: string): readonly OpenFile[] {
    return this.#byLink.get(link) ?? [];
  }

  filesOfInode(ino: bigint): readonly OpenFile[] {
    return this.#byInode.get(String(ino)) ?? [];
  }

  once<T>(key: string, make: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, make());
    return this.#shared.get(key) as T;
  }

  whenAllKnown(step: () => void): void {
    this.#steps.push(step);
  }

  whenDone(step: DoneStep): void {
    this.#doneSteps.push(step);
  }

  beforeEnd(): void {
    for (const step of this.#doneSteps) step.beforeEnd();
  }

  afterThaw(write: (images: ImageWriter) => void): void {
    this.#writes.push(write);
  }

  run(): void {
    try {
      refuseSharedTables(this.subjects);
      const tables = this.subjects.map((subject) => this.#collectTable(subject));
      this.registry.breakPromises();
      for (const step of this.#steps) step();
      this.#tellUnmet();
      this.#locks.finish(this);
      this.subjects.forEach(({ process }, i) => {
        this.fdinfo.set(process.pid, this.#messages(tables[i] ?? []));
      });
    } finally {
      for (const file of this.#files) file.closeDuplicate();
      for (const fd of this.#taken) closeFd(fd);
      this.#handles[Symbol.dispose]();
    }
  }

  copyVolatile(images: ImageWriter): void {
    this.registry.copyUnlinked(images);
  }

  [Symbol.dispose](): void {
    for (const step of this.#doneSteps.splice(0)) step.release();
    this.registry[Symbol.dispose]();
  }

  save(images: ImageWriter): void {
    this.registry.save(images);
    for (const write of this.#writes) write(images);
  }

  describe(engineFd: number, subject: ProcessSubject): number {
    const { pid } = globalThis.process;
    this.#taken.push(engineFd);
    const [facts] = readFacts(pid, [engineFd]);
    if (!facts) throw new Error(`descriptor ${engineFd} of the engine is gone`);
    return this.#identify({ pid, fd: engineFd }, subject, facts).id;
  }

  #collectTable(subject: ProcessSubject): readonly Held[] {
    const { pid } = subject.process;
    return readFacts(pid, descriptorNumbers(`/proc/${pid}`)).map((facts) => {
      const { fd } = facts;
      const file = this.#identify({ pid, fd }, subject, facts);
      const holder = { subject, fd, closeOnExec: facts.info.closeOnExec };
      file.holders.push(holder);
      this.#locks.add(file, holder, facts);
      return { file, holder };
    });
  }

  /** The open file behind a descriptor: a known one, or a new one that is collected at once. */
  #identify(at: DescriptorAt, subject: ProcessSubject, facts: OpenFileFacts): OpenFile {
    const { stat, info, link } = facts;
    const alike = entryOf(this.#alike, `${link} ${stat.dev}:${stat.ino} ${info.flags} ${info.pos}`);
    const { found, place: rank } = findOpenFile(alike, at, link.startsWith('socket:'));
    if (found) return found;
    const place = { source: at, subject, handles: this.#handles };
    const file = new OpenFile(this.registry.allocate(link), place, facts);
    alike.splice(rank, 0, file);
    this.#files.push(file);
    entryOf(this.#byLink, link).push(file);
    entryOf(this.#byInode, String(stat.ino)).push(file);
    this.#collectFile(file);
    return file;
  }

  #collectFile(file: OpenFile): void {
    const kind = FILE_KINDS.find((candidate) => candidate.recognises(file)) ?? this.#external(file);
    const entry = kind ? kind.collect(file, this) : refuseUnsupported(file);
    if (!entry) return;
    this.#types.set(file.id, entry.type);
    this.registry.put(entry);
  }

  /** What nobody could open again need not be opened: a device, a file that no path leads to. */
  #external(file: OpenFile): FileKind | undefined {
    const facts = { mountId: file.info.mountId, stat: file.stat };
    return this.registry.externals.file(facts) === undefined ? undefined : regular;
  }

  #tellUnmet(): void {
    const advice = 'it was declared external, but no process has it open';
    for (const name of this.registry.externals.unmet) {
      const finding = { code: 'ExternalUnknown', severity: 'note', pid: 0 } as const;
      this.subjects[0]?.report({ ...finding, object: name, advice });
    }
  }

  #messages(table: readonly Held[]): FdinfoEntry[] {
    return table.flatMap(({ file, holder: { fd, closeOnExec } }) => {
      const type = this.#types.get(file.id);
      // What was refused has no message; the dump ends after the collection.
      return type === undefined ? [] : [{ id: file.id, flags: Number(closeOnExec), type, fd }];
    });
  }
}

function descriptorNumbers(directory: string): number[] {
  return readdirSync(`${directory}/fd`)
    .map(Number)
    .sort((a, b) => a - b);
}

interface NumberedFacts extends OpenFileFacts {
  readonly fd: number;
}

function readFacts(pid: number, fds: readonly number[]): NumberedFacts[] {
  return readDescriptors(pid, fds).map((facts) => ({ ...facts, info: parseFdInfo(facts.info) }));
}

function entryOf<T>(map: Map<string, T[]>, key: string): T[] {
  let list = map.get(key);
  if (!list) {
    list = [];
    map.set(key, list);
  }
  return list;
}

/** Binary search by kcmp(2); a socket's inode has one open file only. */
function findOpenFile(
  alike: readonly OpenFile[],
  at: DescriptorAt,
  unique: boolean,
): { found?: OpenFile; place: number } {
  if (unique && alike[0]) return { found: alike[0], place: 0 };
  let [low, high] = [0, alike.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = alike[middle] as OpenFile;
    const order = compareOpenFiles(at.pid, at.fd, other.source.pid, other.source.fd);
    if (order === 0) return { found: other, place: middle };
    if (order === 1) high = middle;
    else low = middle + 1;
  }
  return { place: low };
}
