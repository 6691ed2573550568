// How much memory the cgroups of a process still allow: a snapshot is charged to the application.
import { readFileSync } from 'node:fs';
import { readProc, tryReadProc } from '../linux/procfs/read.ts';

/** Room in the tightest of all memory cgroups above a process. */
export interface Headroom {
  /** bytes, undefined = no limit */
  readonly bytes: number | undefined;
  /** the kernel would end every process of the group, so that no oom_score_adj can direct it */
  readonly killsWholeGroup: boolean;
}

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

/**
 * Reads limit and usage of every memory cgroup from the process's own up to the root. Page cache that nobody uses
 * counts as room: the kernel takes it back before it kills.
 */
export function memoryHeadroom(pid: number): Headroom {
  const group = memoryGroup(readProc(`/proc/${pid}/cgroup`));
  if (!group) return { bytes: undefined, killsWholeGroup: false };
  const hierarchy = memoryHierarchy(readProc('/proc/self/mountinfo'), group.version);
  if (!hierarchy) return { bytes: undefined, killsWholeGroup: false };
  const directories = groupDirectories(hierarchy, group.path);
  const rooms = directories.map((directory) => room(directory, hierarchy.version));
  const limited = rooms.filter((bytes) => bytes !== undefined);
  return {
    bytes: limited.length === 0 ? undefined : Math.max(0, Math.min(...limited)),
    killsWholeGroup: directories.some((directory) => text(`${directory}/memory.oom.group`) === '1'),
  };
}

/** Below this a snapshot is given up while it is read: the application would be next. */
export const LAST_ROOM_BYTES = 8 << 20;
const ALWAYS_ENOUGH_BYTES = 64 << 20;
const SHARE = 4;

/**
 * Is there room for what the application writes to while its snapshot is read? That takes 0.4 s per GiB, and pages that are
 * already read cost nothing any more: a quarter of the memory, at least 64 MiB, never more than all of it.
 */
export function enoughRoom(headroom: Headroom, anonymousBytes: number): boolean {
  if (headroom.bytes === undefined) return true;
  const share = Math.max(ALWAYS_ENOUGH_BYTES, anonymousBytes / SHARE);
  return headroom.bytes - LAST_ROOM_BYTES >= Math.min(anonymousBytes, share);
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
  return Array.from(
    { length: names.length + 1 },
    (_, i) => `${mountPoint}/${names.slice(0, names.length - i).join('/')}`,
  );
}

function room(directory: string, version: 1 | 2): number | undefined {
  const files = FILES[version];
  const limit = Number(text(`${directory}/${files.limit}`) ?? Number.NaN);
  const usage = Number(text(`${directory}/${files.usage}`) ?? Number.NaN);
  // NaN: no such file (the root of v2), or `max`
  if (!(limit < NO_LIMIT) || Number.isNaN(usage)) return undefined;
  const stat = tryReadProc(`${directory}/memory.stat`) ?? '';
  const cache = new RegExp(`^${files.cache} (\\d+)$`, 'm').exec(stat)?.[1];
  return limit - usage + Number(cache ?? 0);
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
}
