// Acting for a moment in the network namespace of another process; setns(2) moves this one thread only.
import { closeFd, enterNamespace, OwnedFd } from './descriptors.ts';
import { O, openPath, readLink } from './file-facts.ts';

const CLONE_NEWNET = 0x40000000;
const OWN = '/proc/thread-self/ns/net';

/** Identity of a process's network namespace, `net:[4026531840]`. */
export const networkOf = (pid: number): string => readLink(`/proc/${pid}/ns/net`);

/** Runs `action` in the network namespace of a process; sockets that it makes stay there. */
export function inNetworkOf<T>(pid: number, action: () => T): T {
  if (networkOf(pid) === readLink(OWN)) return action();
  using own = new OwnedFd(openPath(OWN, O.RDONLY));
  const target = openPath(`/proc/${pid}/ns/net`, O.RDONLY);
  try {
    enterNamespace(target, CLONE_NEWNET);
  } finally {
    closeFd(target);
  }
  try {
    return action();
  } finally {
    enterNamespace(own.fd, CLONE_NEWNET);
  }
}
