// The control groups of a container: where they are, what they allow, and the file that freezes them.
// Paths are read from /proc/PID/cgroup, never built: drivers and nested nodes differ (kubernetes.md 5.5).
import { readFileSync } from 'node:fs';
import { errnoOf, TaskFailure } from '../task-failure.ts';
import { isBelow, type Mount } from './mounts.ts';

/** One line of cgroups(7) /proc/PID/cgroup. */
export interface CgroupMembership {
  /** empty for the unified (v2) hierarchy */
  readonly controllers: readonly string[];
  readonly path: string;
}

export interface CgroupFacts {
  /** `cgroup.freeze` (v2) or `freezer.state` (v1) of exactly this container */
  readonly freezerFile: string | undefined;
  readonly memoryLimitBytes: number | undefined;
  /** memory that no file backs: about what a dump has to write */
  readonly anonymousBytes: number | undefined;
  readonly pidsLimit: number | undefined;
}

export function parseCgroup(text: string): CgroupMembership[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    return match === null
      ? []
      : [
          {
            controllers: (match[1] as string).split(',').filter(Boolean),
            path: match[2] as string,
          },
        ];
  });
}

/**
 * Does a path name the container's own group? Its id stands in the last component (`cri-containerd-<id>.scope`,
 * `<id>`), or in the one before where crun makes a `container` child.
 */
export function belongsToContainer(path: string, id: string): boolean {
  return path
    .split('/')
    .slice(-2)
    .some((component) => component.includes(id));
}

/** @throws TaskFailure ContainerMismatch unless a hierarchy has the process in the container's own group */
export function assertOwnCgroup(memberships: readonly CgroupMembership[], id: string): void {
  if (memberships.some(({ path }) => path.includes('/..'))) {
    const facts =
      "control group paths lead out of the agent's own namespace: the agent must run privileged";
    throw new TaskFailure('ContainerMismatch', facts);
  }
  if (!memberships.some(({ path }) => belongsToContainer(path, id))) {
    const facts = `no control group of the process bears the container's id ${id.slice(0, 12)}`;
    throw new TaskFailure('ContainerMismatch', facts);
  }
}

interface GroupDirectory {
  readonly version: 1 | 2;
  readonly path: string;
}

/**
 * Where the node has a controller's group of the container mounted.
 *
 * @param mounts of the node's first process
 * @param nodeRoot path that leads to the node's root, `/proc/1/root`
 */
export function groupDirectories(
  memberships: readonly CgroupMembership[],
  controller: string,
  mounts: readonly Mount[],
  nodeRoot: string,
): GroupDirectory[] {
  return memberships.flatMap(({ controllers, path }): GroupDirectory[] => {
    const version = controllers.length === 0 ? 2 : 1;
    if (version === 1 && !controllers.includes(controller)) {
      return [];
    }
    const mount = mounts.findLast(
      ({ fsType, superOptions, root }) =>
        isBelow(path, root === '/' ? '' : root) &&
        (version === 2
          ? fsType === 'cgroup2'
          : fsType === 'cgroup' && superOptions.includes(controller)),
    );
    if (mount === undefined) {
      return [];
    }
    const inside = mount.root === '/' ? path : path.slice(mount.root.length);
    return [{ version, path: `${nodeRoot}${mount.mountPoint}${inside}` }];
  });
}

export interface CgroupSource {
  readonly memberships: readonly CgroupMembership[];
  readonly mounts: readonly Mount[];
  readonly nodeRoot: string;
  readonly containerId: string;
  /** must be listed in a group before that group's freezer is used */
  readonly pid: number;
}

export function readCgroupFacts(source: CgroupSource): CgroupFacts {
  const directories = (controller: string): GroupDirectory[] =>
    groupDirectories(source.memberships, controller, source.mounts, source.nodeRoot);
  const value = (controller: string, v2: string, v1: string): number | undefined =>
    firstNumber(
      directories(controller).map(({ version, path }) => `${path}/${version === 2 ? v2 : v1}`),
    );
  return {
    freezerFile: findFreezer(directories('freezer'), source),
    memoryLimitBytes: value('memory', 'memory.max', 'memory.limit_in_bytes'),
    anonymousBytes: anonymousBytes(directories('memory')),
    pidsLimit: value('pids', 'pids.max', 'pids.max'),
  };
}

/** memory.stat: `anon` on v2, `total_rss` on v1. */
function anonymousBytes(directories: readonly GroupDirectory[]): number | undefined {
  for (const { version, path } of directories) {
    const key = version === 2 ? 'anon' : 'total_rss';
    const line = tryRead(`${path}/memory.stat`)
      ?.split('\n')
      .find((text) => text.startsWith(`${key} `));
    if (line !== undefined) {
      return Number(line.slice(key.length + 1));
    }
  }
  return undefined;
}

/** v2 first: SIGKILL works there on frozen processes. */
function findFreezer(
  directories: readonly GroupDirectory[],
  { containerId, pid }: CgroupSource,
): string | undefined {
  const sorted = directories.toSorted((a, b) => b.version - a.version);
  for (const { version, path } of sorted) {
    const file = `${path}/${version === 2 ? 'cgroup.freeze' : 'freezer.state'}`;
    const members = tryRead(`${path}/cgroup.procs`)?.split('\n') ?? [];
    const proven = belongsToContainer(path, containerId) && members.includes(String(pid));
    if (proven && tryRead(file) !== undefined) {
      return file;
    }
  }
  return undefined;
}

/** `max`, and on v1 a number beyond any memory, mean no limit. */
const NO_LIMIT = 2 ** 62;

function firstNumber(files: readonly string[]): number | undefined {
  for (const file of files) {
    const text = tryRead(file)?.trim();
    if (text !== undefined && /^\d+$/.test(text)) {
      const value = Number(text);
      return value < NO_LIMIT ? value : undefined;
    }
  }
  return undefined;
}

function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (errnoOf(error) === undefined) {
      throw error;
    }
    return undefined;
  }
}
