// Pages of an address space and what they are, asked in the freeze and read afterwards: the kernel's runs are kept as they
// come, and numbers in the place of bigints make a walk over 100 000 of them a matter of a millisecond.
import { allocate, type NativeMemory, release } from '../ffi.ts';
import {
  PAGE_IS,
  type Pagemap,
  type PageQuery,
  type PageRange,
  REGION_BYTES,
  scanKnows,
} from './pagemap.ts';

const FIRST_BYTES = 1 << 18;
const MORE_BYTES = 1 << 22;
/** Less is no room for a call. */
const LEAST_BYTES = 1 << 16;
const REGION_HALVES = REGION_BYTES / 4;
const HIGH = 2 ** 32;

/** Categories of {@link PageScan.each}: as `PAGE_IS`. */
export const RUN_IS = {
  WPALLOWED: 1,
  WRITTEN: 2,
  FILE: 4,
  PRESENT: 8,
  SWAPPED: 16,
  PFNZERO: 32,
  GUARD: 256,
} as const;
const TOLD = 0x3bn;
/** Costs a look at the page itself: 15 ms per GiB. */
const FILE = 4n;
const GUARD = 256n;

/** Written to since it was protected last; only watched memory. */
const WRITTEN_TO: PageQuery = {
  inverted: 0n,
  mask: PAGE_IS.WPALLOWED | PAGE_IS.WRITTEN,
  anyOf: PAGE_IS.PRESENT | PAGE_IS.SWAPPED,
};

export interface ScannedSpan extends PageRange {
  /** pages of files shall be told apart */
  readonly mayHoldFiles: boolean;
}

export interface PageScanRequest {
  readonly query: PageQuery;
  readonly protect?: boolean;
}

export const SCAN = {
  written: { query: WRITTEN_TO },
  /** in one step with telling: nothing that is written to meanwhile is lost */
  writtenAndProtect: { query: WRITTEN_TO, protect: true },
  /**
   * Everything but pages that are there and have not been written to. To tell of those takes 9 ms per GiB, to pass them over
   * half a millisecond. Memory that is not watched counts as written to, also where mremap(2) has left marks on its pages
   * (before Linux 6.13).
   */
  notAsBefore: {
    query: {
      inverted: PAGE_IS.PRESENT | PAGE_IS.WPALLOWED,
      mask: 0n,
      anyOf: PAGE_IS.PRESENT | PAGE_IS.WRITTEN | PAGE_IS.WPALLOWED,
    },
  },
} as const satisfies Record<string, PageScanRequest>;

export type RunVisitor = (start: number, end: number, category: number) => void;

interface Chunk {
  readonly memory: NativeMemory;
  readonly halves: Uint32Array;
  count: number;
}

/** Room for one scan, made before the freeze. Used again by the next scan. */
export class PageScan implements Disposable {
  readonly #chunks: Chunk[] = [];
  readonly #guards = scanKnows(GUARD) ? GUARD : 0n;

  constructor() {
    // Faulted in now.
    this.#grow(FIRST_BYTES).memory.bytes.fill(0);
  }

  [Symbol.dispose](): void {
    for (const { memory } of this.#chunks) release(memory);
    this.#chunks.length = 0;
  }

  /**
   * Notes the runs that answer a query.
   *
   * @param spans ascending, each looked at by a call of its own at least
   * @throws LinuxError when the process has ended
   */
  take(table: Pagemap, spans: readonly ScannedSpan[], request: PageScanRequest): void {
    for (const chunk of this.#chunks) chunk.count = 0;
    for (const { start, end, mayHoldFiles } of spans) {
      const told = TOLD | this.#guards | (mayHoldFiles ? FILE : 0n);
      for (let from = start; from < end; ) {
        const chunk = this.#chunkWithRoom();
        const step = table.scan({ ...request, start: from, end, told }, roomOf(chunk));
        if (!step) throw new Error('this kernel has no PAGEMAP_SCAN');
        chunk.count += step.count;
        from = step.next;
      }
    }
  }

  /** Runs, ascending. */
  each(visit: RunVisitor): void {
    for (const { halves, count } of this.#chunks) {
      for (let i = 0; i < count * REGION_HALVES; i += REGION_HALVES) {
        const start = halves[i]! + halves[i + 1]! * HIGH;
        const end = halves[i + 2]! + halves[i + 3]! * HIGH;
        visit(start, end, halves[i + 4]!);
      }
    }
  }

  #chunkWithRoom(): Chunk {
    return (
      this.#chunks.find((chunk) => roomOf(chunk).length >= LEAST_BYTES) ?? this.#grow(MORE_BYTES)
    );
  }

  #grow(bytes: number): Chunk {
    const memory = allocate(bytes);
    const chunk = { memory, halves: new Uint32Array(memory.words.buffer), count: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
}

function roomOf({ memory, count }: Chunk): Pick<NativeMemory, 'address' | 'length' | 'words'> {
  const used = count * REGION_BYTES;
  const words = memory.words.subarray(used / 8);
  return { address: memory.address + BigInt(used), length: memory.length - used, words };
}
