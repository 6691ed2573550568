// Mappings of a process: /proc/PID/maps for the layout, /proc/PID/smaps for the flags.
import { readProc } from './read.ts';

export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly shared: boolean;
  readonly offset: bigint;
  /** `major:minor`, hexadecimal */
  readonly device: string;
  readonly inode: bigint;
  /** path, `[heap]`, `[anon:name]`, or empty */
  readonly name: string;
  /** two-letter VmFlags (proc_pid_smaps(5)); empty when read from maps */
  readonly flags: ReadonlySet<string>;
  /** pkeys(7); absent for none, and when read from maps */
  readonly protectionKey?: number;
  /** that it was read from; /proc/PID/maps and /proc/PID/smaps write the same one */
  readonly line: string;
}

const LINE = /^([0-9a-f]+)-([0-9a-f]+) (.)(.)(.)(.) ([0-9a-f]+) (\S+) (\d+) *(.*)$/;
const KEY = 'ProtectionKey:';
const NO_FLAGS: ReadonlySet<string> = new Set();

function parseLine(line: string): Mapping | undefined {
  const m = LINE.exec(line);
  if (!m) return undefined;
  const [, start, end, r, w, x, s, offset, device, inode, name] = m as unknown as string[];
  return {
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    readable: r === 'r',
    writable: w === 'w',
    executable: x === 'x',
    shared: s === 's',
    offset: BigInt(`0x${offset}`),
    device: device as string,
    inode: BigInt(inode as string),
    // the kernel escapes newlines in names as \012
    name: (name as string).replaceAll('\\012', '\n'),
    flags: NO_FLAGS,
    line,
  };
}

/** Layout only: 0.1 ms for a common process. */
export function readMaps(pid: number): Mapping[] {
  return parseMaps(readProc(`/proc/${pid}/maps`));
}

/** As {@link readMaps}; of a mapping whose line is known, what is known: to take a line apart takes most of the time. */
export function readKnownMaps(pid: number, known: ReadonlyMap<string, Mapping>): Mapping[] {
  const lines = readProc(`/proc/${pid}/maps`).split('\n');
  return lines.map((line) => known.get(line) ?? parseLine(line)).filter((m) => m !== undefined);
}

export function parseMaps(text: string): Mapping[] {
  return text
    .split('\n')
    .map(parseLine)
    .filter((m) => m !== undefined);
}

/** Layout and flags: walks all page tables, 9 ms per GiB, so read it while the application runs. */
export function readSmaps(pid: number): Mapping[] {
  return parseSmaps(readProc(`/proc/${pid}/smaps`));
}

export function parseSmaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const last = mappings.at(-1);
    if (last && line.startsWith('VmFlags:')) {
      const flags = new Set(line.slice(8).trim().split(/\s+/));
      mappings[mappings.length - 1] = { ...last, flags };
      continue;
    }
    if (last && line.startsWith(KEY)) {
      const protectionKey = Number(line.slice(KEY.length));
      if (protectionKey !== 0) mappings[mappings.length - 1] = { ...last, protectionKey };
      continue;
    }
    if (/^[0-9a-f]/.test(line)) {
      const mapping = parseLine(line);
      if (mapping) mappings.push(mapping);
    }
  }
  return mappings;
}

/** Do two readings of one place describe the same mapping? Growth of a heap or stack counts as the same. */
export function sameMapping(a: Mapping, b: Mapping): boolean {
  return (
    (a.start === b.start || a.end === b.end) &&
    a.readable === b.readable &&
    a.writable === b.writable &&
    a.executable === b.executable &&
    a.shared === b.shared &&
    a.inode === b.inode &&
    a.device === b.device &&
    a.name === b.name
  );
}
