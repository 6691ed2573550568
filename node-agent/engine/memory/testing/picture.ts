// All memory of a stopped process, read without any help of the code under test.
import { closeSync, openSync, readSync } from 'node:fs';
import type { Area } from '../area.ts';
import type { ProcessMemory } from '../mappings.ts';

export const PAGE_BYTES = 4096;

export interface Picture {
  /** undefined where nothing can be read: guard pages, the end of a file */
  page(at: bigint): Buffer | undefined;
  /** what a page holds that was never changed: zeros, or the file's content */
  untouched(at: bigint): Buffer;
}

function tryRead(fd: number, at: bigint): Buffer | undefined {
  const page = Buffer.alloc(PAGE_BYTES);
  try {
    return readSync(fd, page, 0, PAGE_BYTES, at) === PAGE_BYTES ? page : undefined;
  } catch {
    return undefined;
  }
}

/** Reads everything page by page; for small programs. */
export function takePicture({ process, areas }: ProcessMemory): Picture {
  const pages = new Map<bigint, Buffer>();
  const files = new Map<bigint, Buffer>();
  const memory = openSync(`/proc/${process.pid}/mem`, 'r');
  for (const { mapping, kind } of areas) {
    const { start, end } = mapping;
    const file =
      kind.startsWith('file') || kind.startsWith('shared') ? openFile(process.pid, mapping) : -1;
    for (let at = start; at < end; at += BigInt(PAGE_BYTES)) {
      const page = tryRead(memory, at);
      if (page) pages.set(at, page);
      const original = file < 0 ? undefined : filePage(file, mapping.offset + at - start);
      if (original) files.set(at, original);
    }
    if (file >= 0) closeSync(file);
  }
  closeSync(memory);
  const zero = Buffer.alloc(PAGE_BYTES);
  return { page: (at) => pages.get(at), untouched: (at) => files.get(at) ?? zero };
}

function openFile(pid: number, { start, end }: Area['mapping']): number {
  return openSync(`/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`, 'r');
}

function filePage(fd: number, offset: bigint): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  readSync(fd, page, 0, PAGE_BYTES, offset);
  return page;
}
