// Names of open files in CRIU's spelling, as --external and --inherit-fd take them: pipe:[INO], tty[RDEV:DEV] ... Pure.

/** An inode in decimal; CRIU's images cut it to 32 bits. */
type ByInode = 'pipe' | 'socket' | 'unix';
/** Two numbers in hexadecimal: mount and inode of a file, st_rdev and st_dev of a terminal. */
type ByPair = 'file' | 'tty';

const INODE = /^(pipe|socket|unix):?\[(\d+)\]$/;
const PAIR = /^(file|tty)\[([0-9a-f]+):([0-9a-f]+)\]$/i;

export const inodeResource = (kind: ByInode, ino: number | bigint): string =>
  `${kind}:[${BigInt.asUintN(32, BigInt(ino))}]`;

export const pairResource = (kind: ByPair, first: number, second: number | bigint): string =>
  `${kind}[${first.toString(16)}:${second.toString(16)}]`;

export const pathResource = (path: string): string => (path.startsWith('/') ? path : `/${path}`);

/** One spelling of what people and tools write; what has brackets is never a path. Undefined for what nobody understands. */
export function canonicalResource(text: string): string | undefined {
  const inode = INODE.exec(text);
  if (inode) return inodeResource(inode[1] as ByInode, BigInt(inode[2] ?? ''));
  const pair = PAIR.exec(text);
  if (pair) {
    const [, kind = '', first = '', second = ''] = pair;
    return pairResource(kind.toLowerCase() as ByPair, parseInt(first, 16), BigInt(`0x${second}`));
  }
  return text === '' || /^\w+:?\[.*\]$/.test(text) ? undefined : pathResource(text);
}
