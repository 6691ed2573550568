// Acting for a moment in the IPC namespace of another process; setns(2) moves this one thread only.
import { closeFd, enterNamespace, OwnedFd } from './descriptors.ts';
import { O, openPath, readLink } from './file-facts.ts';

const CLONE_NEWIPC = 0x08000000;
const OWN = '/proc/thread-self/ns/ipc';

/** Identity of a process's IPC namespace, `ipc:[4026531839]`. */
export const ipcNamespaceOf = (pid: number): string => readLink(`/proc/${pid}/ns/ipc`);

/** That of the engine. */
export const ownIpcNamespace = (): string => readLink(OWN);

/** Runs `action` in the IPC namespace of a process. */
export function inIpcOf<T>(pid: number, action: () => T): T {
  if (ipcNamespaceOf(pid) === ownIpcNamespace()) return action();
  using own = new OwnedFd(openPath(OWN, O.RDONLY));
  const target = openPath(`/proc/${pid}/ns/ipc`, O.RDONLY);
  try {
    enterNamespace(target, CLONE_NEWIPC);
  } finally {
    closeFd(target);
  }
  try {
    return action();
  } finally {
    enterNamespace(own.fd, CLONE_NEWIPC);
  }
}
