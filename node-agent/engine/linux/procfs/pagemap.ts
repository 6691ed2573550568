// Which pages of a mapping exist: ioctl(PAGEMAP_SCAN) (Linux 6.7), /proc/PID/pagemap before that.
import { closeSync, openSync, readSync } from 'node:fs';
import { SYS } from '../../arch/x86-64.ts';
import { LinuxError } from '../error.ts';
import { allocate, type NativeMemory, syscall } from '../ffi.ts';

/** Page categories of PAGEMAP_SCAN, include/uapi/linux/fs.h. */
export const PAGE_IS = {
  WPALLOWED: 1n,
  WRITTEN: 2n,
  FILE: 4n,
  PRESENT: 8n,
  SWAPPED: 16n,
  PFNZERO: 32n,
  HUGE: 64n,
  SOFT_DIRTY: 128n,
  GUARD: 256n,
} as const;

/** A run of pages, end exclusive. */
export interface PageRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** `(category ^ inverted) & mask == mask` and `category & anyOf != 0`. */
export interface PageQuery {
  readonly inverted: bigint;
  readonly mask: bigint;
  readonly anyOf: bigint;
}

export interface ScanRequest {
  readonly start: bigint;
  readonly end: bigint;
  readonly query: PageQuery;
  /** write-protects what it finds, as {@link Pagemap.protect}: only watched memory */
  readonly protect?: boolean;
  /** categories that are told of each run and set it apart from its neighbours; absent: those of the query */
  readonly told?: bigint;
}

const PAGEMAP_SCAN = 0xc0606610;
const SCAN_WP_MATCHING = 1n;
/** Only what is there: a page that is not counts as written to when it comes, and to mark it would cost a page table. */
const TO_BE_PROTECTED: PageQuery = {
  inverted: 0n,
  mask: PAGE_IS.WPALLOWED | PAGE_IS.WRITTEN,
  anyOf: PAGE_IS.PRESENT | PAGE_IS.SWAPPED,
};
const ARGUMENT_BYTES = 96;
const REGION_WORDS = 3;
/** struct page_region: start, end, categories */
export const REGION_BYTES = 8 * REGION_WORDS;
const MAX_REGIONS = 40_000;
const PAGE = 4096n;

const argument = allocate(4096);
const regions = allocate(MAX_REGIONS * REGION_BYTES);

const PFN_PRESENT = 1n << 63n;
const PFN_SWAPPED = 1n << 62n;
const PFN_FILE = 1n << 61n;

const SWAP_TYPE = 0x1fn;
/** Numbers of swap files are below; those above are marks of several kinds. include/linux/swap.h, MAX_SWAPFILES */
const MAX_SWAP_FILES = 23n;
const MAYBE_MARKER: PageQuery = {
  inverted: PAGE_IS.WRITTEN,
  mask: PAGE_IS.WPALLOWED | PAGE_IS.WRITTEN | PAGE_IS.SWAPPED,
  anyOf: PAGE_IS.SWAPPED,
};

const isMarker = (entry: bigint): boolean =>
  (entry & PFN_SWAPPED) !== 0n && (entry & SWAP_TYPE) >= MAX_SWAP_FILES;

function categoryOf(entry: bigint): bigint {
  let category = 0n;
  if (entry & PFN_PRESENT) category |= PAGE_IS.PRESENT;
  if (entry & PFN_SWAPPED) category |= PAGE_IS.SWAPPED;
  if (entry & PFN_FILE) category |= PAGE_IS.FILE;
  return category;
}

/** An open /proc/PID/pagemap: pins the address space, so it may outlive its process. */
export class Pagemap {
  readonly #fd: number;
  readonly #pid: number;
  #scans = true;

  constructor(pid: number) {
    this.#fd = openSync(`/proc/${pid}/pagemap`, 'r');
    this.#pid = pid;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** Runs of pages in `[start, end)` that answer the query, ascending, neighbours merged. */
  ranges(start: bigint, end: bigint, query: PageQuery): PageRange[] {
    if (this.#scans) {
      const found = this.#scan(start, end, query);
      if (found) return found;
      this.#scans = false;
    }
    return this.#readTable(start, end, (entry) => matches(categoryOf(entry), query));
  }

  /**
   * Write-protects again what was written to, in one step with finding it: writes from here on are seen by the next query for
   * WRITTEN. Leaves out what is not watched by userfaultfd(2) in asynchronous mode.
   *
   * @throws LinuxError ENOTTY before Linux 6.7
   */
  protect(start: bigint, end: bigint): void {
    this.#scan(start, end, TO_BE_PROTECTED, true);
  }

  /**
   * Pages that are only marks in the page table, ascending: where a protected page of a file was taken away, the kernel
   * remembers the protection in its place. To PAGEMAP_SCAN they look like swapped pages.
   */
  markers(start: bigint, end: bigint): PageRange[] {
    const suspects = this.#scans ? this.ranges(start, end, MAYBE_MARKER) : [];
    return this.marksAmong(suspects);
  }

  /** Which of these pages are marks only, {@link markers}; they were found to look like swapped ones. */
  marksAmong(suspects: readonly PageRange[]): PageRange[] {
    return suspects.flatMap(({ start, end }) => this.#readTable(start, end, isMarker));
  }

  /**
   * One call of PAGEMAP_SCAN; the kernel stops when there is no room for another run.
   *
   * @param into filled with start, end and categories of each run
   * @returns how many runs, undefined before Linux 6.7, and where to go on
   */
  scan(
    request: ScanRequest,
    into: Pick<NativeMemory, 'address' | 'length' | 'words'>,
  ): { readonly count: number; readonly next: bigint } | undefined {
    const { start, end, query } = request;
    const w = argument.words;
    w.fill(0n, 0, ARGUMENT_BYTES / 8);
    w[0] = BigInt(ARGUMENT_BYTES);
    w[1] = request.protect === true ? SCAN_WP_MATCHING : 0n;
    w[2] = start;
    w[3] = end;
    w[5] = into.address;
    w[6] = BigInt(Math.floor(into.length / REGION_BYTES));
    w[8] = query.inverted;
    w[9] = query.mask;
    w[10] = query.anyOf;
    w[11] = request.told ?? query.anyOf | query.mask;
    const count = syscall(SYS.ioctl, this.#fd, PAGEMAP_SCAN, argument.address);
    if (count < 0) {
      const error = new LinuxError('ioctl(PAGEMAP_SCAN)', -count, { pid: this.#pid });
      if (error.errno === 'ENOTTY' || error.errno === 'EINVAL') return undefined;
      throw error;
    }
    // walk_end: where the kernel stopped, `end` when it saw everything. Linux 6.18 answers with a place before the last
    // runs where they are many and small.
    const walked = w[4] as bigint;
    const last = count > 0 ? into.words[count * REGION_WORDS - 2]! : start;
    const seen = walked > last ? walked : last;
    return { count, next: seen > start ? seen : end };
  }

  #scan(start: bigint, end: bigint, query: PageQuery, protect = false): PageRange[] | undefined {
    const found: PageRange[] = [];
    for (let from = start; from < end; ) {
      const step = this.scan({ start: from, end, query, protect }, regions);
      if (!step) return undefined;
      for (let k = 0; k < step.count; k++) {
        append(found, regions.words[k * REGION_WORDS]!, regions.words[k * REGION_WORDS + 1]!);
      }
      from = step.next;
    }
    return found;
  }

  #readTable(start: bigint, end: bigint, wanted: (entry: bigint) => boolean): PageRange[] {
    const found: PageRange[] = [];
    const entries = Buffer.alloc(8 * 65536);
    for (let from = start; from < end; ) {
      const want = Math.min(entries.length, Number((end - from) / PAGE) * 8);
      const got = readSync(this.#fd, entries, 0, want, (from / PAGE) * 8n);
      if (got === 0) break;
      for (let k = 0; k < got; k += 8) {
        const entry = entries.readBigUInt64LE(k);
        const page = from + BigInt(k / 8) * PAGE;
        if (wanted(entry)) append(found, page, page + PAGE);
      }
      from += BigInt(got / 8) * PAGE;
    }
    return found;
  }
}

/** Does this kernel's PAGEMAP_SCAN know the category? GUARD came with Linux 6.15, the call itself with 6.7. */
export function scanKnows(category: bigint): boolean {
  const fd = openSync('/proc/self/pagemap', 'r');
  const w = argument.words;
  w.fill(0n, 0, ARGUMENT_BYTES / 8);
  w[0] = BigInt(ARGUMENT_BYTES);
  w[3] = PAGE;
  w[5] = regions.address;
  w[6] = 1n;
  w[10] = category;
  w[11] = category;
  const result = syscall(SYS.ioctl, fd, PAGEMAP_SCAN, argument.address);
  closeSync(fd);
  return result >= 0;
}

/** The kernel's own rule for a page's categories. */
export function matches(category: bigint, query: PageQuery): boolean {
  const seen = category ^ query.inverted;
  return (seen & query.mask) === query.mask && (seen & query.anyOf) !== 0n;
}

function append(list: PageRange[], start: bigint, end: bigint): void {
  const last = list[list.length - 1];
  if (last && last.end === start) list[list.length - 1] = { start: last.start, end };
  else list.push({ start, end });
}
