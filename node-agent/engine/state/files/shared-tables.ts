// Descriptor tables that are not one to a process: clone(CLONE_FILES) without threads, unshare(CLONE_FILES) in a thread.
import { refusal } from '../../finding.ts';
import { compareTables, sharesTable } from '../../linux/descriptors.ts';
import type { ProcessSubject } from '../state-kind.ts';

/** kcmp(2) KCMP_FILES */
const FILES_TABLE = 2;

export function refuseSharedTables(subjects: readonly ProcessSubject[]): void {
  /** those with a table of their own, in the kernel's order */
  const known: ProcessSubject[] = [];
  for (const subject of subjects) {
    const { process } = subject;
    const { found: sharer, place } = find(known, process.pid);
    if (!sharer) known.splice(place, 0, subject);
    if (sharer) {
      subject.report(
        refusal(
          'SharedDescriptors',
          process.nsPid,
          `descriptor table shared with process ${sharer.process.nsPid}`,
          'processes that share one table (clone with CLONE_FILES) cannot be saved yet',
        ),
      );
    }
    for (const tid of process.threads.keys()) {
      if (tid === process.pid || sharesTable(process.pid, tid, FILES_TABLE)) continue;
      subject.report({
        ...refusal(
          'ThreadDescriptors',
          process.nsPid,
          'a thread with a descriptor table of its own',
          'threads that left the common table (unshare with CLONE_FILES) cannot be saved',
        ),
        tid: process.readNsTid(tid),
      });
    }
  }
}

/** Who has the same table, or the place of one that nobody has: binary search by kcmp(2). */
function find(
  known: readonly ProcessSubject[],
  pid: number,
): { readonly found?: ProcessSubject; readonly place: number } {
  let [low, high] = [0, known.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = known[middle]!;
    const order = compareTables(pid, other.process.pid, FILES_TABLE);
    if (order === 0) return { found: other, place: middle };
    if (order === 1) high = middle;
    else low = middle + 1;
  }
  return { place: low };
}
