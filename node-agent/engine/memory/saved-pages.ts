// The pages of a pagemap and where they lie in pages-N.img; reading them in large pieces.
import { PageFlag } from '../image/messages/enums.ts';
import { ImageError } from '../image/image-error.ts';
import { type Image, RAW_FILES } from '../image/image-files.ts';
import type { PagemapEntry, PagemapHead } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import { closeFd } from '../linux/descriptors.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, type NativeMemory, syscall } from '../linux/ffi.ts';
import { SYS } from '../arch/x86-64.ts';
import { type Span, subtract } from './address-space.ts';

export const PAGE = 4096n;
const STEP_BYTES = 4 << 20;
/** Asked of the disk ahead of what is read: it works while a step is copied. */
const AHEAD_BYTES = 32 << 20;
const POSIX_FADV_WILLNEED = 3;
/** IOV_MAX of the kernel: pieces of one process_vm_writev(2) */
const MAX_PIECES = 1024;

/** A pages-N.img, of one directory of an incremental chain. */
export interface PagesSource {
  readonly images: Pick<ImageReader, 'openRaw'>;
  readonly file: string;
  /** that its pagemap speaks of */
  readonly bytes: number;
}

/** A run of saved pages. */
export interface SavedRun extends Span {
  readonly source: PagesSource;
  /** place in its source, bytes */
  readonly offset: number;
}

export interface SavedPages {
  /** ascending */
  readonly runs: readonly SavedRun[];
  /** that the runs lie in */
  readonly sources: ReadonlySet<PagesSource>;
}

/** Longer chains are circles. */
const LONGEST_CHAIN = 1000;

/**
 * Reads a pagemap; runs whose pages lie in older directories of an incremental chain are looked up there.
 *
 * @throws ImageError when runs overlap, do not ascend or are in no directory of the chain
 */
export function readPagemap(
  images: ImageReader,
  image: Image<PagemapEntry, PagemapHead>,
  depth = 0,
): SavedPages {
  const { entries, source } = readEntries(images, image);
  const inherited = entries.filter(({ older }) => older);
  if (inherited.length === 0) return pagesOf(entries.map((entry) => ({ ...entry, source })));
  const { parent } = images;
  if (!parent || depth === LONGEST_CHAIN) {
    const reason = parent ? 'is part of a circle' : 'builds on a directory that is missing';
    throw new ImageError({ file: image.file, reason });
  }
  const older = clipRuns(readPagemap(parent, image, depth + 1).runs, inherited);
  const [gap] = subtract(inherited, older);
  if (gap) {
    const reason = `has pages at 0x${gap.start.toString(16)} that no older directory holds`;
    throw new ImageError({ file: image.file, reason });
  }
  const own = entries.filter((entry) => !entry.older).map((entry) => ({ ...entry, source }));
  return pagesOf([...own, ...older].sort((a, b) => (a.start < b.start ? -1 : 1)));
}

const pagesOf = (runs: readonly SavedRun[]): SavedPages => ({
  runs: runs.map(({ start, end, source, offset }) => ({ start, end, source, offset })),
  sources: new Set(runs.map(({ source }) => source)),
});

interface Entry extends Span {
  readonly offset: number;
  /** its pages lie in an older directory */
  readonly older: boolean;
}

function readEntries(
  images: ImageReader,
  image: Image<PagemapEntry, PagemapHead>,
): { readonly entries: readonly Entry[]; readonly source: PagesSource } {
  using cursor = images.open(image);
  if (!cursor) throw new ImageError({ file: image.file, reason: 'is missing' });
  const { pagesId } = cursor.head();
  const entries: Entry[] = [];
  let offset = 0;
  let last = 0n;
  for (const { vaddr, nrPages, compatNrPages, flags, inParent } of cursor.records()) {
    const end = vaddr + BigInt(nrPages ?? compatNrPages) * PAGE;
    if (vaddr % PAGE !== 0n || vaddr < last || end <= vaddr) {
      const reason = `run at 0x${vaddr.toString(16)} is out of order`;
      throw new ImageError({ file: image.file, record: entries.length + 1, reason });
    }
    last = end;
    const older = inParent === true || ((flags ?? 0) & PageFlag.PARENT) !== 0;
    // Without flags an old image means that the data is here
    const here = !older && (flags === undefined || (flags & PageFlag.PRESENT) !== 0);
    if (!here && !older) continue;
    entries.push({ start: vaddr, end, offset, older });
    if (here) offset += Number(end - vaddr);
  }
  return { entries, source: { images, file: RAW_FILES.pages(pagesId), bytes: offset } };
}

/** Pages that were read together: contiguous in memory of this process, pieces of someone else's address space. */
export interface PageBatch {
  readonly address: bigint;
  readonly content: Buffer;
  readonly length: number;
  readonly pieces: readonly SavedRun[];
}

/** Reads runs in steps of up to 4 MiB; the memory behind `address` is used again for the next step. */
export function* readBatches(wanted: readonly SavedRun[]): Generator<PageBatch> {
  using reader = new PagesReader();
  for (const group of groupRuns(wanted)) {
    const length = bytesOf(group);
    const { source, offset } = group[0]!;
    const content = reader.read(source, offset, length);
    yield { address: reader.address, content, length, pieces: group };
  }
}

export const bytesOf = (group: readonly SavedRun[]): number =>
  group.reduce((sum, { start, end }) => sum + Number(end - start), 0);

/**
 * Memory that no reader uses now. A tree has some readers for each of its processes, and to map and to unmap it for each takes
 * longer than to read the pages of most.
 */
const idle: NativeMemory[] = [];

/** Memory for one step, and the open files that it is read from. */
export class PagesReader implements Disposable {
  readonly #memory: NativeMemory = idle.pop() ?? allocate(STEP_BYTES);
  readonly #files = new Map<PagesSource, OpenPages>();

  [Symbol.dispose](): void {
    idle.push(this.#memory);
    for (const { fd } of this.#files.values()) closeFd(fd);
  }

  /** Where {@link read} puts what it reads. */
  get address(): bigint {
    return this.#memory.address;
  }

  /** @returns up to 4 MiB, valid until the next call. @throws ImageError when the file is missing or too short */
  read(source: PagesSource, offset: number, length: number): Buffer {
    const pages = this.#files.get(source) ?? this.#open(source);
    askAhead(pages, offset + length);
    readFully(pages.fd, source.file, this.#memory.address, length, offset);
    return this.#memory.bytes.subarray(0, length);
  }

  #open(source: PagesSource): OpenPages {
    const opened = { fd: openPages(source).fd, aheadTo: 0 };
    this.#files.set(source, opened);
    return opened;
  }
}

/** Descriptor, which the caller closes, and size of a file of pages. @throws ImageError when it is missing */
export function openPages({ images, file }: PagesSource): { fd: number; bytes: number } {
  const opened = images.openRaw(file);
  if (!opened) throw new ImageError({ file, reason: 'is missing' });
  return opened;
}

interface OpenPages {
  readonly fd: number;
  /** up to where the disk was asked */
  aheadTo: number;
}

/** Advice only: where it cannot be given, reading is slower. */
function askAhead(pages: OpenPages, from: number): void {
  const start = Math.max(from, pages.aheadTo);
  if (start - from > AHEAD_BYTES / 2) return;
  const length = from + AHEAD_BYTES - start;
  syscall(SYS.fadvise64, pages.fd, start, length, POSIX_FADV_WILLNEED);
  pages.aheadTo = start + length;
}

/** Parts of runs that lie in the spans; both ascend. */
export function clipRuns(runs: readonly SavedRun[], spans: readonly Span[]): SavedRun[] {
  const clipped: SavedRun[] = [];
  let first = 0;
  for (const run of runs) {
    while (first < spans.length && spans[first]!.end <= run.start) first++;
    for (let i = first; i < spans.length && spans[i]!.start < run.end; i++) {
      const span = spans[i]!;
      const start = run.start > span.start ? run.start : span.start;
      const end = run.end < span.end ? run.end : span.end;
      clipped.push({ ...run, start, end, offset: run.offset + Number(start - run.start) });
    }
  }
  return clipped;
}

/** Cuts runs into steps, and joins those that follow one another in the file. */
export function groupRuns(
  runs: readonly SavedRun[],
  stepBytes = STEP_BYTES,
  maxPieces = MAX_PIECES,
): SavedRun[][] {
  const groups: SavedRun[][] = [];
  let room = 0;
  let next = -1;
  let source: PagesSource | undefined;
  for (const run of runs) {
    if (run.source !== source) next = -1;
    ({ source } = run);
    for (let at = run.start; at < run.end; ) {
      const offset = run.offset + Number(at - run.start);
      if (room === 0 || offset !== next || groups.at(-1)?.length === maxPieces) {
        groups.push([]);
        room = stepBytes;
      }
      const length = Math.min(room, Number(run.end - at));
      groups.at(-1)!.push({ ...run, start: at, end: at + BigInt(length), offset });
      at += BigInt(length);
      next = offset + length;
      room -= length;
    }
  }
  return groups;
}

/** Bytes of a span; pages that are missing are zero. */
export function savedBytes(area: Span, runs: readonly SavedRun[]): Buffer {
  const bytes = Buffer.alloc(Number(area.end - area.start));
  for (const { pieces, content } of readBatches(clipRuns(runs, [area]))) {
    let from = 0;
    for (const piece of pieces) {
      content.copy(
        bytes,
        Number(piece.start - area.start),
        from,
        from + Number(piece.end - piece.start),
      );
      from += Number(piece.end - piece.start);
    }
  }
  return bytes;
}

function readFully(fd: number, file: string, to: bigint, length: number, offset: number): void {
  for (let done = 0; done < length; ) {
    const got = syscall(SYS.pread64, fd, to + BigInt(done), length - done, offset + done);
    if (got < 0) throw new LinuxError('pread', -got, { object: file });
    if (got === 0) throw new ImageError({ file, reason: `ends before byte ${offset + length}` });
    done += got;
  }
}
