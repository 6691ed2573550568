// What becomes of the stopped originals when their images are on disk: frozen for whoever ends them, or ended here.
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { HeldApplication } from './held-application.ts';
import { SIGNAL, sendSignal } from './linux/signals.ts';
import type { DumpTree } from './protocol.ts';
import { revokeLastWills } from './state/last-will.ts';

/** Freezes their cgroups before they are let go, so that they never run again unless somebody thaws them. */
export function keepFrozen(trees: readonly DumpTree[]): void {
  for (const { freezerFile, name } of trees) {
    if (!freezerFile) throw new Error(`no freezer for ${name}`);
    // cgroup v2 takes 1, the v1 freezer a word.
    writeFileSync(freezerFile, basename(freezerFile) === 'cgroup.freeze' ? '1' : 'FROZEN');
  }
}

/**
 * Ends the originals: they live on in the images. What the kernel would do for each thread is revoked first, or it would mark
 * their locks as abandoned in files that the images do not hold. Until the first kill everything can still be put back.
 */
export function endOriginals(application: HeldApplication): void {
  const { processes, tracer } = application;
  const putBack = revokeLastWills(processes.flatMap((process) => [...process.threads.values()]));
  try {
    sendSignal(processes[0]!.pid, SIGNAL.SIGKILL);
  } catch (error) {
    putBack();
    throw error;
  }
  for (const process of processes.slice(1)) sendSignal(process.pid, SIGNAL.SIGKILL);
  // Children first: a PID 1 ends last of its namespace, and only when we have heard of the end of all others.
  for (const process of processes.toReversed()) tracer.awaitEnd(process);
}
