// Memory policies of a process's areas as /proc/PID/numa_maps shows them, proc_pid_numa_maps(5).
import { readProc, tryReadProc } from './read.ts';

const NODES_WITH_MEMORY = '/sys/devices/system/node/has_memory';

/** `0`, `0-1`, `0,2-3`: more than one? Kernels without CONFIG_NUMA have no such file. */
const isMoreThanOne = (list: string): boolean => /[-,]/.test(list);

/** Is there anything to choose between? On most machines no policy changes anything. */
export const hasSeveralNodes = (): boolean => isMoreThanOne(tryReadProc(NODES_WITH_MEMORY) ?? '');

/**
 * Start addresses of the areas whose pages do not lie where they would by default; what an area has of its thread's policy
 * cannot be told apart here. It walks all page tables, so read it while the application runs, and on a machine with one
 * node, where no policy changes anything, not at all.
 */
export function areasWithPolicy(pid: number): bigint[] {
  if (!hasSeveralNodes()) return [];
  return parseNumaMaps(readProc(`/proc/${pid}/numa_maps`));
}

export function parseNumaMaps(text: string): bigint[] {
  return text.split('\n').flatMap((line) => {
    const [start, policy] = line.split(' ', 2);
    return start && policy && policy !== 'default' ? [BigInt(`0x${start}`)] : [];
  });
}
