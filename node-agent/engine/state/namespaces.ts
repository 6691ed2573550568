// Namespaces: a tree is rebuilt in those of its root's target. Whoever has others of his own is refused by name, or he
// would come back in the wrong network, among the wrong mounts.
import { readlinkSync } from 'node:fs';
import { type Finding, refusal } from '../finding.ts';

/** Files of /proc/PID/ns, and where the root keeps what must be the same. namespaces(7) */
const KINDS: readonly (readonly [string, string])[] = [
  ['cgroup', 'cgroup'],
  ['ipc', 'ipc'],
  ['mnt', 'mnt'],
  ['net', 'net'],
  ['pid', 'pid'],
  ['pid_for_children', 'pid'],
  ['time', 'time'],
  ['time_for_children', 'time'],
  ['user', 'user'],
  ['uts', 'uts'],
];

/** By file; a kind that this kernel does not have is missing. */
export type Namespaces = ReadonlyMap<string, string>;

export function namespacesOf(pid: number): Namespaces {
  const found = new Map<string, string>();
  for (const [file] of KINDS) {
    try {
      found.set(file, readlinkSync(`/proc/${pid}/ns/${file}`));
    } catch (error) {
      // ENOENT: an old kernel, or pid_for_children of somebody who has none yet.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return found;
}

/** @param pid as the application knows it */
export function foreignNamespaces(pid: number, own: Namespaces, root: Namespaces): Finding[] {
  return KINDS.flatMap(([file, ofRoot]) => {
    const namespace = own.get(file);
    if (namespace === undefined || namespace === root.get(ofRoot)) return [];
    const advice =
      'namespaces that the application makes inside its container cannot be saved: let it end them';
    return [refusal('NestedNamespace', pid, `${file} -> ${namespace}`, advice)];
  });
}
