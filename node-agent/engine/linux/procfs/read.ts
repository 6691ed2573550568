// Reading /proc: one open, one read where the size is known to be small; no caching.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

const block = Buffer.alloc(65536);

/** Reads a small proc file with one read per 64 KiB; the text is Latin-1 (names may hold any byte). */
export function readProc(path: string): string {
  const fd = openSync(path, 'r');
  try {
    let text = '';
    for (;;) {
      const n = readSync(fd, block, 0, block.length, null);
      if (n === 0) return text;
      text += block.toString('latin1', 0, n);
    }
  } finally {
    closeSync(fd);
  }
}

/** More than one record of such a file, and less than the kernel gives at once. */
const SURELY_WHOLE_BYTES = 2048;

/**
 * As {@link readProc} without the read that only finds the end, for files of short records (status, stat, children): what
 * is shorter than half a page is all there is.
 */
export function readSmallProc(path: string): string {
  const fd = openSync(path, 'r');
  try {
    let text = '';
    for (;;) {
      const n = readSync(fd, block, 0, block.length, null);
      text += block.toString('latin1', 0, n);
      if (n < SURELY_WHOLE_BYTES) return text;
    }
  } finally {
    closeSync(fd);
  }
}

/** As {@link readSmallProc}, undefined when the process or file is gone. */
export function tryReadSmallProc(path: string): string | undefined {
  try {
    return readSmallProc(path);
  } catch {
    return undefined;
  }
}

/** As {@link readProc}, undefined when the process or file is gone. */
export function tryReadProc(path: string): string | undefined {
  try {
    return readProc(path);
  } catch {
    return undefined;
  }
}

/** Raw bytes of a proc file. */
export const readProcBytes = (path: string): Buffer => readFileSync(path);

/** Thread ids of a process, leader first, the rest ascending: /proc lists them as text (`10` before `7`). */
export function threadIds(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => Number(b === pid) - Number(a === pid) || a - b);
}
