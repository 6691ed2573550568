// The shared memory of a saved tree: each object made once, filled through the first process that has it, sealed last.
import { closeSync, fchmodSync, fchownSync, openSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { IMAGES } from '../image/image-files.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import type { MemfdInodeEntry, MmEntry, VmaEntry } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import { encodeText } from '../image/text.ts';
import { closeFd, FCNTL, fcntl } from '../linux/descriptors.ts';
import { check, LinuxError } from '../linux/error.ts';
import { allocate, release, syscall } from '../linux/ffi.ts';
import { O, openPath } from '../linux/file-facts.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { FdChannel } from '../tracee/fd-channel.ts';
import { sizeOf } from './address-space.ts';
import { MAP, PROT } from './area.ts';
import { fillPages } from './fill.ts';
import { kindOf, mappedAreas } from './saved-areas.ts';
import { PAGE, readPagemap } from './saved-pages.ts';
import { SHARED_ANONYMOUS } from './shared-memory.ts';

const F_ADD_SEALS = 1033;
const F_SEAL_EXEC = 0x20;
const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, NOEXEC_SEAL: 8, EXEC: 0x10 } as const;
/** A size's logarithm, in the flags of memfd_create(2) and of mmap(2) */
const SIZE_FLAGS = 0xfc000000;
const ANY_EXECUTE = 0o111;
const PERMISSIONS = 0o7777;
const F_DUPFD_CLOEXEC = 1030;
/** Flags that open(2) of /proc/self/fd takes; O_CREAT and the like were never there. */
const KEPT_FLAGS = O.ACCMODE | O.APPEND | O.NONBLOCK | O.NOATIME | O.LARGEFILE;
/** Flags that fcntl(F_SETFL) takes */
const SET_FLAGS = O.APPEND | O.NONBLOCK | O.NOATIME;
/** Our descriptors in a process that has none of its own yet. */
const FIRST_OWN_DESCRIPTOR = 3;

interface SharedObject {
  readonly entry: MemfdInodeEntry;
  readonly hasPages: boolean;
  /** the engine's own, O_RDWR */
  fd: number | undefined;
  filled: boolean;
  sealed: boolean;
  /** the description that memfd_create gave has been handed on */
  given: boolean;
}

/** Descriptors of shared memory in one process, for as long as it is being mapped. */
export interface MappedObjects extends Disposable {
  /** number in the process */
  descriptor(area: VmaEntry): number;
  /** Writes the content of those that nobody has filled yet. */
  fill(progress: (bytes: number) => void): void;
}

/** One for each restored tree. */
export class SharedMemoryRestore {
  readonly #images: ImageReader;
  #objects: Map<string, SharedObject> | undefined;
  #inodes: ReadonlyMap<number, number> | undefined;

  constructor(images: ImageReader) {
    this.#images = images;
  }

  /** Closes the engine's descriptors. */
  [Symbol.dispose](): void {
    for (const object of this.#objects?.values() ?? []) {
      if (object.fd !== undefined) closeFd(object.fd);
      object.fd = undefined;
    }
  }

  /** Gives a process descriptors of all objects that it maps. */
  hand(builder: ProcessBuilder, mm: MmEntry): MappedObjects {
    const areas = mappedAreas(mm).filter((area) => kindOf(area) === 'shared-memory');
    const objects = new Map<SharedObject, number>();
    for (const area of areas) objects.set(this.#objectOf(area, mm), -1);
    const channel =
      objects.size > 0 ? FdChannel.open(builder.process, FIRST_OWN_DESCRIPTOR) : undefined;
    const numbers = channel?.push([...objects.keys()].map((object) => this.#open(object))) ?? [];
    [...objects.keys()].forEach((object, i) => objects.set(object, numbers[i]!));
    return {
      descriptor: (area) => objects.get(this.#objectOf(area, mm))!,
      fill: (progress) => {
        for (const [object, fd] of objects) this.#fill(object, builder, fd, progress);
      },
      [Symbol.dispose]: () => {
        for (const fd of numbers) {
          builder.makeRoom(1, 0);
          builder.batch.must(SYS.close, fd);
        }
        builder.flush();
        channel?.close();
      },
    };
  }

  /**
   * A descriptor of the object behind a saved memfd, filled through the process that owns the descriptor.
   *
   * The first that asks for read and write gets the description that memfd_create(2) made, as it was once: any other one
   * for writing counts as a writer of the file, which can then not be executed.
   *
   * @param saved of `memfd_file_entry`
   * @returns a new descriptor, position anywhere
   */
  memfd(saved: { inodeId: number; flags: number }, builder: ProcessBuilder): number {
    const object = this.#filled(saved.inodeId, builder);
    const fd = this.#open(object);
    if (object.given || (saved.flags & O.ACCMODE) !== O.RDWR) {
      return openPath(`/proc/self/fd/${fd}`, saved.flags & KEPT_FLAGS);
    }
    object.given = true;
    const own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    fcntl(own, FCNTL.F_SETFL, saved.flags & SET_FLAGS);
    return own;
  }

  #filled(inodeId: number, builder: ProcessBuilder): SharedObject {
    const object = this.#known().get(`inode ${inodeId}`);
    if (!object) throw new Error(`memfd.img has no object ${inodeId}`);
    if (object.filled || !object.hasPages) return object;
    builder.flush();
    const channel = FdChannel.open(builder.process, FIRST_OWN_DESCRIPTOR);
    const [number] = channel.push([this.#open(object)]);
    this.#fill(object, builder, number!, () => undefined);
    builder.batch.must(SYS.close, number!);
    builder.flush();
    channel.close();
    return object;
  }

  /** Seals everything as it was: the last thing, because a seal against writing allows no writable mapping. */
  seal(): void {
    for (const object of this.#objects?.values() ?? []) {
      const { fd, entry, sealed } = object;
      if (fd === undefined || sealed || entry.name === SHARED_ANONYMOUS || entry.seals === 0) {
        continue;
      }
      check(syscall(SYS.fcntl, fd, F_ADD_SEALS, entry.seals), 'fcntl(F_ADD_SEALS)', {
        object: `memfd ${entry.name}`,
      });
      object.sealed = true;
    }
  }

  #known(): Map<string, SharedObject> {
    this.#objects ??= new Map(
      this.#images
        .records(IMAGES.memfd)
        .map((entry) => [`inode ${entry.inodeId}`, this.#newObject(entry)]),
    );
    return this.#objects;
  }

  #newObject(entry: MemfdInodeEntry): SharedObject {
    const hasPages = this.#images.has(IMAGES.pagemapShmem(entry.shmid));
    return { entry, hasPages, fd: undefined, filled: false, sealed: false, given: false };
  }

  #objectOf(area: VmaEntry, mm: MmEntry): SharedObject {
    if (area.status & VmaStatus.MEMFD) {
      const object = this.#known().get(`inode ${this.#inodeOf(Number(area.shmid))}`);
      if (object) return object;
      throw new Error(`file ${area.shmid} is mapped, but memfd.img does not have it`);
    }
    return this.#anonymousObject(area, mm);
  }

  /** Images that were dumped without the right to look into map_files name shared memory by its shmem id alone. */
  #anonymousObject({ shmid }: VmaEntry, mm: MmEntry): SharedObject {
    const key = `shmem ${shmid}`;
    const known = this.#known().get(key);
    if (known) return known;
    const ends = mappedAreas(mm)
      .filter((area) => area.shmid === shmid)
      .map((area) => area.pgoff + sizeOf(area));
    const size = ends.reduce((a, b) => (a > b ? a : b), 0n);
    const entry = { name: SHARED_ANONYMOUS, uid: 0, gid: 0, seals: 0, mode: 0o777 };
    const ids = { shmid: Number(shmid), inodeId: shmid };
    const object = this.#newObject({ ...entry, ...ids, size });
    this.#known().set(key, object);
    return object;
  }

  #inodeOf(fileId: number): number | undefined {
    this.#inodes ??= new Map(
      this.#images
        .records(IMAGES.files)
        .flatMap(({ id, memfd }) => (memfd ? [[id, memfd.inodeId] as const] : [])),
    );
    return this.#inodes.get(fileId);
  }

  #open(object: SharedObject): number {
    const { entry } = object;
    object.fd ??= (entry.name === SHARED_ANONYMOUS && makeAnonymous(entry)) || makeMemfd(entry);
    return object.fd;
  }

  /** Through a mapping in the process, so that its cgroup pays for the pages, and not ours. */
  #fill(
    object: SharedObject,
    builder: ProcessBuilder,
    fd: number,
    progress: (bytes: number) => void,
  ): void {
    if (object.filled || !object.hasPages) return;
    object.filled = true;
    const pages = readPagemap(this.#images, IMAGES.pagemapShmem(object.entry.shmid));
    const size = (object.entry.size + PAGE - 1n) & ~(PAGE - 1n);
    builder.makeRoom(2, 0);
    const flags = MAP.SHARED;
    const at = builder.batch.must(SYS.mmap, 0, size, PROT.READ | PROT.WRITE, flags, fd, 0);
    builder.flush();
    const runs = pages.runs.map((run) => ({
      ...run,
      start: at.value + run.start,
      end: at.value + run.end,
    }));
    fillPages(builder.process.pid, runs, progress);
    builder.batch.must(SYS.munmap, at.value, size);
    builder.flush();
  }
}

/** A real anonymous object, reached through the engine's own mapping of it; undefined where that is not allowed. */
function makeAnonymous({ size, hugetlbFlag = 0 }: MemfdInodeEntry): number | undefined {
  const huge = hugetlbFlag === 0 ? 0 : MAP.HUGETLB | (hugetlbFlag & SIZE_FLAGS);
  const flags = MAP.SHARED | MAP.ANONYMOUS | huge;
  const at = check(syscall(SYS.mmap, 0, size, PROT.READ | PROT.WRITE, flags, -1, 0), 'mmap');
  const range = `${at.toString(16)}-${(BigInt(at) + size).toString(16)}`;
  try {
    return openSync(`/proc/self/map_files/${range}`, 'r+');
  } catch {
    return undefined;
  } finally {
    syscall(SYS.munmap, at, size);
  }
}

function makeMemfd(entry: MemfdInodeEntry): number {
  const { name, mode = PERMISSIONS, seals, size, uid, gid, hugetlbFlag = 0 } = entry;
  const executable = seals & F_SEAL_EXEC ? MFD.NOEXEC_SEAL : mode & ANY_EXECUTE ? MFD.EXEC : 0;
  const fd = createMemfd(name, MFD.CLOEXEC | MFD.ALLOW_SEALING | executable | hugetlbFlag);
  try {
    check(syscall(SYS.ftruncate, fd, size), 'ftruncate', { object: `memfd ${name}` });
    fchownSync(fd, uid, gid);
    if (!(seals & F_SEAL_EXEC)) fchmodSync(fd, mode & PERMISSIONS);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function createMemfd(name: string, flags: number): number {
  const text = allocate(4096);
  const bytes = encodeText(name);
  text.bytes.set(bytes);
  text.bytes[bytes.length] = 0;
  try {
    const fd = syscall(SYS.memfd_create, text.address, flags);
    if (fd >= 0) return fd;
    // Linux before 6.3 knows nothing of executability
    const plain = flags & ~(MFD.EXEC | MFD.NOEXEC_SEAL);
    const again = plain === flags ? fd : syscall(SYS.memfd_create, text.address, plain);
    if (again < 0) throw new LinuxError('memfd_create', -again, { object: name });
    return again;
  } finally {
    release(text);
  }
}
