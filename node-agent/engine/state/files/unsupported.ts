// Open files that cannot be saved: each is refused by its own name, never by silence.
import { S } from '../../linux/file-facts.ts';
import { AF } from '../../linux/sockets.ts';
import type { OpenFile } from './open-file.ts';
import { domainOf } from './unix-socket.ts';

interface Unsupported {
  readonly code: string;
  readonly what: string;
  matches(file: OpenFile): boolean;
}

const anonymous = (name: string, code: string, what: string): Unsupported => ({
  code,
  what,
  matches: ({ link }) => link === `anon_inode:[${name}]` || link === `anon_inode:${name}`,
});
const linked = (pattern: RegExp, code: string, what: string): Unsupported => ({
  code,
  what,
  matches: ({ link }) => pattern.test(link),
});

const socket = (domain: number, code: string, what: string): Unsupported => ({
  code,
  what,
  matches: (file) => domainOf(file) === domain,
});

const isDevice = ({ stat }: OpenFile): boolean =>
  (stat.mode & S.IFMT) === S.IFCHR || (stat.mode & S.IFMT) === S.IFBLK;

const KNOWN: readonly Unsupported[] = [
  anonymous('io_uring', 'IoUring', 'an io_uring'),
  anonymous('userfaultfd', 'Userfaultfd', 'a userfaultfd'),
  anonymous('perf_event', 'PerfEvent', 'a performance counter'),
  linked(/^anon_inode:(\[bpf|bpf|btf|\[btf)/, 'BpfObject', 'a BPF object'),
  linked(/^\/memfd:/, 'Memfd', 'a memfd'),
  linked(/^\/secretmem\b/, 'MemfdSecret', 'secret memory'),
  linked(/^anon_inode:\[?(landlock|fscontext|mount)/, 'MountObject', 'a mount or Landlock object'),
  linked(/^anon_inode:\[?(kvm|vfio|iommu)/, 'VirtualMachine', 'a virtual machine or device'),
  socket(AF.VSOCK, 'Vsock', 'a socket to the hypervisor'),
  socket(AF.INET, 'SocketProtocol', 'a socket of this protocol'),
  socket(AF.INET6, 'SocketProtocol', 'a socket of this protocol'),
  linked(/^socket:\[/, 'SocketFamily', 'a socket of this family'),
  { code: 'Device', what: 'a device', matches: isDevice },
];

/** Says what an open file is that no kind knows. */
export function refuseUnsupported(file: OpenFile): undefined {
  const known = KNOWN.find((kind) => kind.matches(file));
  if (!known) {
    return file.refuse('UnknownFile', 'nothing is known about saving this kind of open file');
  }
  return file.refuse(known.code, `${known.what} cannot be saved: let the application close it`);
}
