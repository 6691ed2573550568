// Descriptor tables that are not one to a process: clone(CLONE_FILES) without threads, unshare(CLONE_FILES) in a thread.
import { refusal } from '../../finding.ts';
import { sharesTable } from '../../linux/descriptors.ts';
import type { ProcessSubject } from '../state-kind.ts';

/** kcmp(2) KCMP_FILES */
const FILES_TABLE = 2;

export function refuseSharedTables(subjects: readonly ProcessSubject[]): void {
  for (const [i, subject] of subjects.entries()) {
    const { process } = subject;
    const sharer = subjects
      .slice(0, i)
      .find((other) => sharesTable(other.process.pid, process.pid, FILES_TABLE));
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
