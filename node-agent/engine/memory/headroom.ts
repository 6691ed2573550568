// How much memory the cgroups of a process still allow: a snapshot is charged to the application.
import { readFileSync } from 'node:fs';
import { readProc, tryReadProc } from '../linux/procfs/read.ts';

/** Where the memory controller is mounted, and what of a group's path to take off. */
interface Hierarchy {
  readonly mountPoint: string;
  /** path of the cgroup that the mount shows as its root */
  readonly root: string;
  readonly version: 1 | 2;
}

/** Above this a v1 limit means none: the kernel rounds LONG_MAX down to a page. */
const NO_LIMIT = 2 ** 60;
const FILES = {
  1: {
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    cache: 'total_inactive_file',
  },
  2: { limit: 'memory.max', usage: 'memory.current', cache: 'inactive_file' },
} as const;

/** Below this a snapshot is given up while it is read: the application would be next. */
export const LAST_ROOM_BYTES = 8 << 20;
const ALWAYS_ENOUGH_BYTES = 64 << 20;
const SHARE = 4;

/** Looks at the memory cgroups of one process: its own and all above that have a limit. */
export class HeadroomGauge {
  /** path of the process's own group; the same for all who share its limits */
  readonly group: string;
  readonly #directories: readonly string[];
  readonly #version: 1 | 2;

  /** @throws the error of open(2) when the process has ended */
  constructor(pid: number) {
    const group = memoryGroup(readProc(`/proc/${pid}/cgroup`));
    const hierarchy = group && memoryHierarchy(readProc('/proc/self/mountinfo'), group.version);
    this.group = group?.path ?? '';
    this.#version = group?.version ?? 2;
    const directories = hierarchy && group ? groupDirectories(hierarchy, group.path) : [];
    this.#directories = directories.filter(
      (directory) => limitOf(directory, this.#version) !== undefined,
    );
  }

  /** Room in the tightest group, bytes; undefined where nothing limits. */
  read(): number | undefined {
    return headroomOf(this.#directories, this.#version);
  }
}

/**
 * Least room of several groups, undefined where none has a limit. Page cache that nobody uses counts as room: the kernel
 * takes it back before it kills.
 */
export function headroomOf(directories: readonly string[], version: 1 | 2): number | undefined {
  const rooms = directories
    .map((directory) => room(directory, version))
    .filter((bytes) => bytes !== undefined);
  return rooms.length === 0 ? undefined : Math.max(0, Math.min(...rooms));
}

/**
 * Is there room for what the application writes to while its snapshot is read? That takes 0.4 s per GiB, and pages that are
 * already read cost nothing any more: a quarter of the memory, at least 64 MiB, never more than all of it.
 *
 * @param roomBytes undefined for no limit
 */
export function enoughRoom(roomBytes: number | undefined, anonymousBytes: number): boolean {
  if (roomBytes === undefined) return true;
  const share = Math.max(ALWAYS_ENOUGH_BYTES, anonymousBytes / SHARE);
  return roomBytes - LAST_ROOM_BYTES >= Math.min(anonymousBytes, share);
}

/** The memory cgroup in /proc/PID/cgroup; a v1 controller hides that of v2. */
export function memoryGroup(cgroups: string): { path: string; version: 1 | 2 } | undefined {
  let unified: string | undefined;
  for (const line of cgroups.split('\n')) {
    const [id, controllers, ...rest] = line.split(':');
    const path = rest.join(':');
    if (controllers?.split(',').includes('memory')) return { path, version: 1 };
    if (id === '0' && controllers === '') unified = path;
  }
  return unified === undefined ? undefined : { path: unified, version: 2 };
}

/** Finds the mount of the memory controller; proc_pid_mountinfo(5). */
export function memoryHierarchy(mountinfo: string, version: 1 | 2): Hierarchy | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [type, , options = ''] = after.split(' ');
    const fits =
      version === 2
        ? type === 'cgroup2'
        : type === 'cgroup' && options.split(',').includes('memory');
    const [, , , root, mountPoint] = before.split(' ');
    if (fits && root !== undefined && mountPoint !== undefined)
      return { mountPoint, root, version };
  }
  return undefined;
}

/** Directories of a group and all above it that the mount shows, innermost first. */
export function groupDirectories({ mountPoint, root }: Hierarchy, path: string): string[] {
  const below = root !== '/' && path.startsWith(root) ? path.slice(root.length) : path;
  const names = below.split('/').filter((name) => name !== '' && name !== '..');
  return Array.from({ length: names.length + 1 }, (_, i) =>
    [mountPoint, ...names.slice(0, names.length - i)].join('/'),
  );
}

/** undefined: no such file (the root of v2), or none set */
function limitOf(directory: string, version: 1 | 2): number | undefined {
  const limit = Number(textOf(`${directory}/${FILES[version].limit}`) ?? Number.NaN);
  return limit < NO_LIMIT ? limit : undefined;
}

function room(directory: string, version: 1 | 2): number | undefined {
  const limit = limitOf(directory, version);
  const usage = Number(textOf(`${directory}/${FILES[version].usage}`) ?? Number.NaN);
  if (limit === undefined || Number.isNaN(usage)) return undefined;
  const stat = tryReadProc(`${directory}/memory.stat`) ?? '';
  const cache = new RegExp(`^${FILES[version].cache} (\\d+)$`, 'm').exec(stat)?.[1];
  return limit - usage + Number(cache ?? 0);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
}
