// Handles of namespaces: those that the tree itself lives in, which it finds again where it is restored; namespaces(7).
import { type Finding, refusal } from '../../finding.ts';
import { FdType } from '../../image/messages/enums.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { O, openPath } from '../../linux/file-facts.ts';
import { namespacesOf } from '../namespaces.ts';
import type { FileKind } from './file-kind.ts';

const LINK = /^(cgroup|ipc|mnt|net|pid|time|user|uts):\[\d+\]$/;

/** Files of /proc/PID/ns, CLONE_NEW*, and the numbers of the namespaces in our images (write-state.ts). */
const NAMESPACES = [
  { file: 'time', flag: 0x80, id: 8 },
  { file: 'mnt', flag: 0x20000, id: 5 },
  { file: 'cgroup', flag: 0x2000000, id: 7 },
  { file: 'uts', flag: 0x4000000, id: 4 },
  { file: 'ipc', flag: 0x8000000, id: 3 },
  { file: 'user', flag: 0x10000000, id: 6 },
  { file: 'pid', flag: 0x20000000, id: 1 },
  { file: 'net', flag: 0x40000000, id: 2 },
] as const;

const fileOf = (cloneFlag: number): string | undefined =>
  NAMESPACES.find(({ flag }) => flag === cloneFlag)?.file;

export const namespaceFile: FileKind = {
  name: 'namespace-file',

  recognises: ({ link }) => LINK.test(link),

  collect(file, dump) {
    const { id, link, info } = file;
    const known = NAMESPACES.find((namespace) => namespace.file === LINK.exec(link)?.[1]);
    const [root] = dump.subjects;
    if (!root || !known || namespacesOf(root.process.pid).get(known.file) !== link) {
      return file.refuse(
        'NamespaceFd',
        'it leads to a namespace that the application does not live in: let it close the handle',
      );
    }
    const nsf = { id, nsId: known.id, nsCflag: known.flag, flags: info.flags };
    return { type: FdType.NS, id, nsf };
  },

  restores: ({ nsf }) => nsf !== undefined,

  check(entry, target): Finding[] {
    if (fileOf(entry.nsf!.nsCflag) !== undefined) return [];
    const object = `namespace of type 0x${entry.nsf!.nsCflag.toString(16)}`;
    const advice = 'this kind of namespace is not known here';
    return [refusal('NamespaceFd', target.pidOf(entry.id), object, advice)];
  },

  open:
    ({ id, nsf }, opening) =>
    () => {
      const { pid } = opening.ownerOf(id).process;
      const fd = openPath(`/proc/${pid}/ns/${fileOf(nsf!.nsCflag)}`, O.RDONLY);
      if (nsf!.flags & O.NONBLOCK) fcntl(fd, FCNTL.F_SETFL, O.NONBLOCK);
      return fd;
    },
};
