// The files of a running process, found by their names before the freeze.
import { readdirSync } from 'node:fs';
import type { Mapping } from '../../linux/procfs/maps.ts';
import type { FileRegistry } from './registry.ts';

/**
 * Executable, directories, mapped files and descriptors: what of it has a name the registry will know.
 *
 * @returns how many descriptors it has
 */
export function foreseeFiles(
  registry: FileRegistry,
  pid: number,
  mappings: readonly Mapping[],
): number {
  for (const link of ['exe', 'cwd', 'root']) registry.foresee(pid, `/proc/${pid}/${link}`);
  const firsts = new Map(
    mappings.filter(({ inode }) => inode !== 0n).map((m) => [`${m.device} ${m.inode}`, m]),
  );
  for (const { start, end } of firsts.values()) {
    registry.foresee(pid, `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`);
  }
  const fds = descriptors(pid);
  for (const fd of fds) registry.foresee(pid, `/proc/${pid}/fd/${fd}`);
  return fds.length;
}

/** It may have ended meanwhile. */
function descriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
}
