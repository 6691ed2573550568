// The page cache of a folder of images, made the same for both engines.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SYS } from '../../node-agent/engine/arch/x86-64.ts';
import { check } from '../../node-agent/engine/linux/error.ts';
import { syscall } from '../../node-agent/engine/linux/ffi.ts';

const POSIX_FADV_DONTNEED = 4;

const filesOf = (directory: string): string[] =>
  readdirSync(directory)
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());

/** The next reader finds nothing in memory; everything is on the disk already. */
export function forgetPages(directory: string): void {
  for (const path of filesOf(directory)) {
    const fd = openSync(path, 'r');
    check(syscall(SYS.fadvise64, fd, 0, 0, POSIX_FADV_DONTNEED), 'fadvise64', { object: path });
    closeSync(fd);
  }
}

/** The next reader finds everything in memory. */
export function readPages(directory: string): void {
  execFileSync('cat', filesOf(directory), { stdio: ['ignore', 'ignore', 'inherit'] });
}
