// The pages of a pagemap and where they lie in pages-N.img; reading them in large pieces.
import { PageFlag } from '../image/messages/enums.ts';
import { ImageError } from '../image/image-error.ts';
import { type Image, RAW_FILES } from '../image/image-files.ts';
import type { PagemapEntry, PagemapHead } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import { closeFd } from '../linux/descriptors.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, type NativeMemory, release, syscall } from '../linux/ffi.ts';
import { SYS } from '../arch/x86-64.ts';
import type { Span } from './address-space.ts';

export const PAGE = 4096n;
const STEP_BYTES = 4 << 20;
/** Asked of the disk ahead of what is read: it works while a step is copied. */
const AHEAD_BYTES = 32 << 20;
const POSIX_FADV_WILLNEED = 3;
/** IOV_MAX of the kernel: pieces of one process_vm_writev(2) */
const MAX_PIECES = 1024;

/** A run of saved pages. */
export interface SavedRun extends Span {
  /** place in pages-N.img, bytes */
  readonly offset: number;
  /** data lies in an older directory of an incremental chain */
  readonly inParent: boolean;
}

export interface SavedPages {
  readonly pagesId: number;
  readonly runs: readonly SavedRun[];
  /** of pages-N.img */
  readonly bytes: number;
}

/** @throws ImageError when runs overlap or do not ascend */
export function readPagemap(
  images: ImageReader,
  image: Image<PagemapEntry, PagemapHead>,
): SavedPages {
  using cursor = images.open(image);
  if (!cursor) throw new ImageError({ file: image.file, reason: 'is missing' });
  const { pagesId } = cursor.head();
  const runs: SavedRun[] = [];
  let offset = 0;
  let last = 0n;
  for (const { vaddr, nrPages, compatNrPages, flags, inParent } of cursor.records()) {
    const end = vaddr + BigInt(nrPages ?? compatNrPages) * PAGE;
    if (vaddr % PAGE !== 0n || vaddr < last || end <= vaddr) {
      const reason = `run at 0x${vaddr.toString(16)} is out of order`;
      throw new ImageError({ file: image.file, record: runs.length + 1, reason });
    }
    last = end;
    const older = inParent === true || ((flags ?? 0) & PageFlag.PARENT) !== 0;
    // Without flags an old image means that the data is here
    const here = !older && (flags === undefined || (flags & PageFlag.PRESENT) !== 0);
    if (!here && !older) continue;
    runs.push({ start: vaddr, end, offset, inParent: older });
    if (here) offset += Number(end - vaddr);
  }
  return { pagesId, runs, bytes: offset };
}

/** Pages that were read together: contiguous in memory of this process, pieces of someone else's address space. */
export interface PageBatch {
  readonly address: bigint;
  readonly content: Buffer;
  readonly length: number;
  readonly pieces: readonly SavedRun[];
}

/** Reads runs in steps of up to 4 MiB; the memory behind `address` is used again for the next step. */
export function* readBatches(
  images: ImageReader,
  pages: SavedPages,
  wanted: readonly SavedRun[],
): Generator<PageBatch> {
  if (wanted.length === 0) return;
  const groups = groupRuns(wanted).map((group) => ({ group, length: bytesOf(group) }));
  using file = new PagesReader(images, pages, Math.max(...groups.map(({ length }) => length)));
  for (const { group, length } of groups) {
    const [first] = group;
    const content = file.read(first!.offset, length);
    yield { address: file.address, content, length, pieces: group };
  }
}

export const bytesOf = (group: readonly SavedRun[]): number =>
  group.reduce((sum, { start, end }) => sum + Number(end - start), 0);

/** An open pages-N.img, and memory for one step of it. */
export class PagesReader implements Disposable {
  readonly #file: string;
  readonly #fd: number;
  readonly #memory: NativeMemory;
  /** up to where the disk was asked */
  #aheadTo = 0;

  /** @throws ImageError when the file is missing */
  constructor(images: ImageReader, { pagesId }: SavedPages, stepBytes = STEP_BYTES) {
    this.#file = RAW_FILES.pages(pagesId);
    const opened = images.openRaw(this.#file);
    if (!opened) throw new ImageError({ file: this.#file, reason: 'is missing' });
    this.#fd = opened.fd;
    this.#memory = allocate(stepBytes);
  }

  [Symbol.dispose](): void {
    release(this.#memory);
    closeFd(this.#fd);
  }

  /** Where {@link read} puts what it reads. */
  get address(): bigint {
    return this.#memory.address;
  }

  /** @returns up to 4 MiB, valid until the next call */
  read(offset: number, length: number): Buffer {
    this.#askAhead(offset + length);
    readFully(this.#fd, this.#file, this.#memory.address, length, offset);
    return this.#memory.bytes.subarray(0, length);
  }

  /** Advice only: where it cannot be given, reading is slower. */
  #askAhead(from: number): void {
    const start = Math.max(from, this.#aheadTo);
    if (start - from > AHEAD_BYTES / 2) return;
    const length = from + AHEAD_BYTES - start;
    syscall(SYS.fadvise64, this.#fd, start, length, POSIX_FADV_WILLNEED);
    this.#aheadTo = start + length;
  }
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
export function groupRuns(runs: readonly SavedRun[], stepBytes = STEP_BYTES): SavedRun[][] {
  const groups: SavedRun[][] = [];
  let room = 0;
  let next = -1;
  for (const run of runs) {
    for (let at = run.start; at < run.end; ) {
      const offset = run.offset + Number(at - run.start);
      if (room === 0 || offset !== next || groups.at(-1)?.length === MAX_PIECES) {
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
export function savedBytes(area: Span, pages: SavedPages, images: ImageReader): Buffer {
  const bytes = Buffer.alloc(Number(area.end - area.start));
  for (const { pieces, content } of readBatches(images, pages, clipRuns(pages.runs, [area]))) {
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
