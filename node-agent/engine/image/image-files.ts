// Every image of CRIU 4.2: its name, its magic, its messages and the raw bytes behind them. The only register of files.
import type { Message } from './codec.ts';
import { cgroupEntry } from './messages/cgroup.ts';
import { coreEntry } from './messages/core.ts';
import {
  fdinfoEntry,
  fileEntry,
  fileLockEntry,
  fsEntry,
  ghostChunkEntry,
  ghostFileEntry,
  remapFilePathEntry,
} from './messages/files.ts';
import { inventoryEntry, pstreeEntry, taskKobjIdsEntry } from './messages/inventory.ts';
import { ipcMsgEntry, ipcSemEntry, ipcShmEntry, ipcVarEntry } from './messages/ipc.ts';
import { memfdInodeEntry, mmEntry, pagemapEntry, pagemapHead } from './messages/memory.ts';
import { autofsEntry, binfmtMiscEntry, mntEntry } from './messages/mounts.ts';
import { pidnsEntry, timensEntry, usernsEntry, utsnsEntry } from './messages/namespaces.ts';
import { netDeviceEntry, netnsEntry } from './messages/network.ts';
import { type PipeDataEntry, pipeDataEntry } from './messages/pipes.ts';
import { apparmorEntry, seccompEntry } from './messages/security.ts';
import { skPacketEntry, tcpStreamEntry } from './messages/sockets.ts';
import { cpuinfoEntry, irmapCacheEntry, statsEntry } from './messages/stats.ts';
import { ttyDataEntry, ttyInfoEntry } from './messages/terminals.ts';
import { bpfmapDataEntry } from './messages/tun-bpf.ts';

/** First word of an ordinary image of version 2; the magic of the type follows. */
export const COMMON_MAGIC = 0x54564319;
/** The same for files that belong to no restore: statistics, caches. */
export const SERVICE_MAGIC = 0x55105940;

/** What stands before the first record: the type's magic alone, or behind a common one. */
export type Framing = 'inventory' | 'image' | 'service';

/** Raw bytes behind each record. */
export interface Payload<Rec> {
  /** how many the record announces */
  bytes(record: Rec): number;
  /** zeros fill up to a multiple of this */
  readonly align: number;
}

/** One file of an images directory, and what its records are. */
export interface Image<Rec, Head = never> {
  readonly file: string;
  readonly magic: number;
  readonly framing: Framing;
  /** a first record of another kind */
  readonly head?: Message<Head>;
  readonly record: Message<Rec>;
  readonly payload?: Payload<Rec>;
}

/** Any image, where only the framing matters. */
export type AnyImage = Image<unknown, unknown>;

type Shape<Rec, Head> = Omit<Image<Rec, Head>, 'file' | 'magic' | 'framing' | 'record'> & {
  readonly framing?: Framing;
};

/** Images of one kind that differ by a number in their name. */
export interface ImageFamily<Rec, Head = never> {
  (id: number | bigint): Image<Rec, Head>;
  /** the image of that name, if it is one of this family */
  parse(file: string): Image<Rec, Head> | undefined;
}

function single<Rec, Head = never>(
  file: string,
  magic: number,
  record: Message<Rec>,
  shape: Shape<Rec, Head> = {},
): Image<Rec, Head> {
  return { framing: 'image', ...shape, file, magic, record };
}

function family<Rec, Head = never>(
  stem: string,
  magic: number,
  record: Message<Rec>,
  shape: Shape<Rec, Head> & { readonly radix?: 10 | 16 } = {},
): ImageFamily<Rec, Head> {
  const { radix = 10, ...rest } = shape;
  const of = (id: number | bigint) =>
    single(`${stem}-${id.toString(radix)}.img`, magic, record, rest);
  const pattern = new RegExp(`^${stem}-${radix === 10 ? '[0-9]+' : '[0-9a-f]+'}\\.img$`);
  const parse = (file: string) =>
    pattern.test(file) ? single(file, magic, record, rest) : undefined;
  return Object.assign(of, { parse });
}

const pagemap = { head: pagemapHead };
const pipeData = { payload: { align: 1, bytes: (pipe: PipeDataEntry) => pipe.bytes } };

/** The images, by CRIU's names: `IMAGES.pstree`, `IMAGES.core(tid)`. */
export const IMAGES = {
  inventory: single('inventory.img', 0x58313116, inventoryEntry, { framing: 'inventory' }),
  pstree: single('pstree.img', 0x50273030, pstreeEntry),
  /** by thread */
  core: family('core', 0x55053847, coreEntry),
  /** these by process */
  ids: family('ids', 0x54432030, taskKobjIdsEntry),
  mm: family('mm', 0x57492820, mmEntry),
  fs: family('fs', 0x51403912, fsEntry),
  pagemap: family('pagemap', 0x56084025, pagemapEntry, pagemap),
  /** by shmem id */
  pagemapShmem: family('pagemap-shmem', 0x56084025, pagemapEntry, pagemap),
  /** by `ids.filesId` */
  fdinfo: family('fdinfo', 0x56213732, fdinfoEntry),
  files: single('files.img', 0x56303138, fileEntry),
  memfd: single('memfd.img', 0x48453499, memfdInodeEntry),
  /** by ghost id. With `head.chunks` chunk records follow the head, otherwise the whole content, raw */
  ghostFile: family('ghost-file', 0x52583605, ghostChunkEntry, {
    radix: 16,
    head: ghostFileEntry,
    payload: { align: 1, bytes: (chunk) => Number(chunk.len) },
  }),
  remapFpath: single('remap-fpath.img', 0x59133954, remapFilePathEntry),
  filelocks: single('filelocks.img', 0x54323616, fileLockEntry),
  pipesData: single('pipes-data.img', 0x56453709, pipeDataEntry, pipeData),
  fifoData: single('fifo-data.img', 0x59333054, pipeDataEntry, pipeData),
  skQueues: single('sk-queues.img', 0x56264026, skPacketEntry, {
    payload: { align: 1, bytes: (packet) => packet.length },
  }),
  /** by `inet_sk_entry.ino` */
  tcpStream: family('tcp-stream', 0x51465506, tcpStreamEntry, {
    radix: 16,
    payload: { align: 1, bytes: (stream) => stream.inqLen + stream.outqLen },
  }),
  ttyInfo: single('tty-info.img', 0x59453036, ttyInfoEntry),
  ttyData: single('tty-data.img', 0x59413026, ttyDataEntry),
  bpfmapData: single('bpfmap-data.img', 0x64324033, bpfmapDataEntry, {
    payload: { align: 1, bytes: (map) => map.keysBytes + map.valuesBytes },
  }),
  seccomp: single('seccomp.img', 0x64413049, seccompEntry),
  cgroup: single('cgroup.img', 0x59383330, cgroupEntry),
  apparmor: single('apparmor.img', 0x59423047, apparmorEntry),
  /** from here on by namespace id */
  utsns: family('utsns', 0x54473203, utsnsEntry),
  ipcVar: family('ipcns-var', 0x53115007, ipcVarEntry),
  ipcShm: family('ipcns-shm', 0x46283044, ipcShmEntry, {
    payload: { align: 4, bytes: (shm) => (shm.inPagemaps === true ? 0 : Number(shm.size)) },
  }),
  /** each record is followed by `qnum` ipc_msg with their texts: read it with a cursor */
  ipcMsg: family('ipcns-msg', 0x55453737, ipcMsgEntry),
  ipcSem: family('ipcns-sem', 0x59573019, ipcSemEntry, {
    payload: { align: 8, bytes: (sem) => 2 * sem.nsems },
  }),
  mountpoints: family('mountpoints', 0x55563928, mntEntry),
  userns: family('userns', 0x55474906, usernsEntry),
  pidns: family('pidns', 0x61157326, pidnsEntry),
  timens: family('timens', 0x43114433, timensEntry),
  netns: family('netns', 0x55933752, netnsEntry),
  netdev: family('netdev', 0x57373951, netDeviceEntry),
  binfmtMisc: single('binfmt-misc.img', 0x67343323, binfmtMiscEntry),
  /** by mount id */
  autofs: family('autofs', 0x49353943, autofsEntry),
  cpuinfo: single('cpuinfo.img', 0x61404013, cpuinfoEntry),
  statsDump: single('stats-dump', 0x57093306, statsEntry, { framing: 'service' }),
  statsRestore: single('stats-restore', 0x57093306, statsEntry, { framing: 'service' }),
  irmapCache: single('irmap-cache', 0x57004059, irmapCacheEntry, { framing: 'service' }),
} as const;

/** Files without any framing. */
export const RAW_FILES = {
  /** N counts from 1; `pagemap_head.pages_id` */
  pages: (id: number) => `pages-${id}.img`,
  ifaddr: (netNsId: number) => `ifaddr-${netNsId}.img`,
  route: (netNsId: number) => `route-${netNsId}.img`,
  route6: (netNsId: number) => `route6-${netNsId}.img`,
  rule: (netNsId: number) => `rule-${netNsId}.img`,
  iptables: (netNsId: number) => `iptables-${netNsId}.img`,
  ip6tables: (netNsId: number) => `ip6tables-${netNsId}.img`,
  nftables: (netNsId: number) => `nftables-${netNsId}.img`,
  conntrack: (netNsId: number) => `netns-ct-${netNsId}.img`,
  conntrackExpect: (netNsId: number) => `netns-exp-${netNsId}.img`,
  tmpfs: (id: number) => `tmpfs-${id}.tar.gz.img`,
  tmpfsDev: (id: number) => `tmpfs-dev-${id}.tar.gz.img`,
} as const;

/** Symlink to the previous directory of an incremental chain. */
export const PARENT_LINK = 'parent';

/** The image of a file name, or undefined for a raw or unknown file. */
export function imageOf(file: string): AnyImage | undefined {
  for (const known of Object.values<AnyImage | ImageFamily<unknown, unknown>>(IMAGES)) {
    const image = typeof known === 'function' ? known.parse(file) : known;
    if (image?.file === file) return image;
  }
  return undefined;
}
