// Shared anonymous memory and memfds of a saved tree: each object once, copied in the freeze, written after the thaw.
import { SYS } from '../arch/x86-64.ts';
import { IMAGES } from '../image/image-files.ts';
import { FdType, PageFlag } from '../image/messages/enums.ts';
import type { FownEntry } from '../image/messages/file-owner.ts';
import type { FileEntry } from '../image/messages/files.ts';
import type { ImageWriter } from '../image/writer.ts';
import { closeFd, OwnedFd } from '../linux/descriptors.ts';
import { check, LinuxError } from '../linux/error.ts';
import { allocate, type NativeMemory, release, syscall } from '../linux/ffi.ts';
import { hugePageDevices, hugeSizeFlags } from '../linux/huge-pages.ts';
import { type FileStat, O, openPath, readLink, statFd } from '../linux/file-facts.ts';
import { dataExtents, type Extent } from '../linux/sparse.ts';
import { PagesFile, type PagesIds } from './pages-file.ts';

const F_GET_SEALS = 1034;
const MFD_CLOEXEC = 1;
const MFD_HUGETLB = 4;
const PAGE = 4096n;
/** Content up to this size waits in memory for the thaw; more is written to the volume while the application stands. */
const BUFFER_BYTES = 96 << 20;
const STEP_BYTES = 4 << 20;

const MEMFD_LINK = /^\/memfd:(.*) \(deleted\)$/s;
/** CRIU's name for shared anonymous memory */
export const SHARED_ANONYMOUS = '/dev/zero';
const NO_OWNER: FownEntry = { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 };

/** Shared anonymous memory, of ordinary and of huge pages */
const ANONYMOUS_LINKS: ReadonlySet<string> = new Set([
  `${SHARED_ANONYMOUS} (deleted)`,
  '/anon_hugepage (deleted)',
]);

/** What shared memory needs of the register of files. */
export interface FileIds {
  allocate(): number;
  put(entry: FileEntry): void;
}

interface SharedObject {
  readonly inodeId: number;
  /** N of pagemap-shmem-N.img */
  readonly shmid: number;
  /** a System V segment: its message is not in memfd.img */
  readonly isSegment: boolean;
  readonly name: string;
  readonly stat: FileStat;
  /** 0 for ordinary pages */
  readonly hugePageBytes: number;
  readonly seals: number;
  /** the engine's own, read-only; closed once the content is copied */
  readonly fd: number;
  mappedFileId: number | undefined;
  extents: readonly Extent[];
  /** undefined when the content went to the volume at once */
  content: NativeMemory | undefined;
  pages: PagesFile | undefined;
}

const NOT_COPIED = {
  name: SHARED_ANONYMOUS,
  hugePageBytes: 0,
  seals: 0,
  mappedFileId: undefined,
  extents: [],
  content: undefined,
  pages: undefined,
};

/** Device of the kernel's internal tmpfs, where memfds and shared anonymous memory live: `major << 20 | minor`. */
export function kernelShmemDev(): number {
  const name = allocate(4096);
  name.bytes.write('diapause\0');
  using memfd = new OwnedFd(
    check(syscall(SYS.memfd_create, name.address, MFD_CLOEXEC), 'memfd_create'),
  );
  release(name);
  return statFd(memfd.fd).dev;
}

/** Is this link text that of an object kept here? Only together with the device: a user may name a file so. */
export const isSharedMemoryLink = (link: string): boolean =>
  MEMFD_LINK.test(link) || ANONYMOUS_LINKS.has(link);

/** The shared objects of one tree. */
export class SharedMemoryDump {
  readonly #ids: FileIds;
  readonly #bufferBytes: number;
  readonly #hugePages = hugePageDevices();
  readonly #objects = new Map<string, SharedObject>();
  #copied = false;

  constructor(ids: FileIds, bufferBytes = BUFFER_BYTES) {
    this.#ids = ids;
    this.#bufferBytes = bufferBytes;
  }

  /** Gives back memory and descriptors, saved or not. */
  [Symbol.dispose](): void {
    for (const object of this.#objects.values()) {
      if (!this.#copied) closeFd(object.fd);
      if (object.content) release(object.content);
      object.content = undefined;
    }
    this.#objects.clear();
  }

  /** File id for a mapping of an object. @param link its /proc/PID/map_files entry */
  mappedFileId(link: string): number {
    const object = this.#object(link);
    if (object.mappedFileId === undefined) {
      const id = this.#ids.allocate();
      object.mappedFileId = id;
      const memfd = { id, flags: O.RDONLY, pos: 0n, fown: NO_OWNER, inodeId: object.inodeId };
      this.#ids.put({ type: FdType.MEMFD, id, memfd });
    }
    return object.mappedFileId;
  }

  /**
   * Keeps the content of a System V segment. Before any other object: its id is also the number of its image.
   *
   * @param fd of its file; taken over
   * @returns false when it is of huge pages
   */
  keepSegment(id: number, fd: number): boolean {
    const stat = statFd(fd);
    if (stat.dev !== kernelShmemDev()) {
      closeFd(fd);
      return false;
    }
    this.#keep(`segment ${id}`, { ...NOT_COPIED, shmid: id, isSegment: true, stat, fd });
    return true;
  }

  #keep(key: string, object: Omit<SharedObject, 'inodeId'>): SharedObject {
    const kept = { ...object, inodeId: this.#objects.size + 1 };
    this.#objects.set(key, kept);
    return kept;
  }

  /** Id of the object behind an open memfd, for its `memfd_file_entry`. @param link its /proc/PID/fd entry */
  inodeId(link: string): number {
    return this.#object(link).inodeId;
  }

  #object(link: string): SharedObject {
    const fd = openPath(link, O.RDONLY);
    const stat = statFd(fd);
    const key = `${stat.dev}:${stat.ino}`;
    const known = this.#objects.get(key);
    if (known) {
      closeFd(fd);
      return known;
    }
    const target = readLink(link);
    return this.#keep(key, {
      ...NOT_COPIED,
      shmid: this.#freeShmid(stat.ino),
      isSegment: false,
      name: MEMFD_LINK.exec(target)?.[1] ?? SHARED_ANONYMOUS,
      stat,
      hugePageBytes: this.#hugePages.get(stat.dev) ?? 0,
      seals: check(syscall(SYS.fcntl, fd, F_GET_SEALS, 0), 'fcntl(F_GET_SEALS)', {
        object: target,
      }),
      fd,
    });
  }

  /** CRIU takes the inode number, which is wider than the field. */
  #freeShmid(ino: bigint): number {
    const taken = new Set([...this.#objects.values()].map(({ shmid }) => shmid));
    let shmid = Number(BigInt.asUintN(32, ino));
    while (taken.has(shmid)) shmid = (shmid + 1) >>> 0;
    return shmid;
  }

  /** Bytes of all objects known so far that hold data. */
  get dataBytes(): number {
    let sum = 0n;
    for (const { fd, stat } of this.#objects.values()) {
      for (const { start, end } of dataExtents(fd, stat.size)) sum += end - start;
    }
    return Number(sum);
  }

  /** Copies all content: the last thing before the thaw, when every process of the tree has been collected. */
  copy(images: ImageWriter, pagesIds: PagesIds): void {
    let room = this.#bufferBytes;
    for (const object of this.#objects.values()) {
      const { fd, stat } = object;
      object.extents = dataExtents(fd, stat.size).map(wholePages);
      const bytes = bytesOf(object.extents);
      if (bytes === 0) continue;
      if (bytes <= room) {
        object.content = copyToMemory(object, bytes);
        room -= bytes;
      } else {
        object.pages = copyToVolume(object, bytes, images, pagesIds);
      }
    }
    for (const { fd } of this.#objects.values()) closeFd(fd);
    this.#copied = true;
  }

  /** Writes memfd.img, pagemap-shmem-N.img and the pages. @returns bytes of pages */
  save(images: ImageWriter, pagesIds: PagesIds): number {
    let sum = 0;
    for (const object of this.#objects.values()) {
      if (!object.isSegment) images.append(IMAGES.memfd, inodeEntry(object));
      const bytes = bytesOf(object.extents);
      if (bytes === 0) continue;
      const pages = object.pages ?? PagesFile.create(images, pagesIds, bytes);
      if (object.content) pages.append(object.content.address, bytes);
      pages.finish();
      const image = IMAGES.pagemapShmem(object.shmid);
      images.head(image, { pagesId: pages.id });
      images.write(
        image,
        object.extents.map(({ start, end }) => ({
          vaddr: start,
          compatNrPages: 0,
          flags: PageFlag.PRESENT,
          nrPages: (end - start) / PAGE,
        })),
      );
      sum += bytes;
    }
    return sum;
  }
}

function inodeEntry({ name, stat, shmid, seals, inodeId, hugePageBytes }: SharedObject) {
  const { uid, gid, size, mode } = stat;
  const huge = hugePageBytes > 0 && { hugetlbFlag: MFD_HUGETLB | hugeSizeFlags(hugePageBytes) };
  return { name, uid, gid, size, shmid, seals, inodeId: BigInt(inodeId), mode, ...huge };
}

/** A file may end inside a page; the page exists as a whole. */
const wholePages = ({ start, end }: Extent): Extent => ({
  start: start & ~(PAGE - 1n),
  end: (end + PAGE - 1n) & ~(PAGE - 1n),
});

const bytesOf = (extents: readonly Extent[]): number =>
  Number(extents.reduce((sum, { start, end }) => sum + (end - start), 0n));

function copyToMemory(object: SharedObject, bytes: number): NativeMemory {
  const memory = allocate(bytes);
  let at = 0;
  for (const { start, end } of object.extents) {
    const length = Number(end - start);
    readPages(object, start, memory, at, length);
    at += length;
  }
  return memory;
}

function copyToVolume(
  object: SharedObject,
  bytes: number,
  images: ImageWriter,
  pagesIds: PagesIds,
): PagesFile {
  const pages = PagesFile.create(images, pagesIds, bytes);
  const memory = allocate(STEP_BYTES);
  try {
    for (const { start, end } of object.extents) {
      for (let at = start; at < end; at += BigInt(STEP_BYTES)) {
        const length = Math.min(STEP_BYTES, Number(end - at));
        readPages(object, at, memory, 0, length);
        pages.append(memory.address, length);
      }
    }
  } finally {
    release(memory);
  }
  return pages;
}

/** Reads from the object at `from` into memory at `to`; behind the end of the file a page holds zeros. */
function readPages(
  { fd, name, stat }: SharedObject,
  from: bigint,
  memory: NativeMemory,
  to: number,
  length: number,
): void {
  for (let done = 0; done < length; ) {
    const address = memory.address + BigInt(to + done);
    const result = syscall(SYS.pread64, fd, address, length - done, from + BigInt(done));
    if (result < 0) throw new LinuxError('pread', -result, { object: name });
    if (result === 0) {
      if (from + BigInt(done) < stat.size) throw new LinuxError('pread', 5, { object: name });
      memory.bytes.fill(0, to + done, to + length);
      return;
    }
    done += result;
  }
}
