// All memory of a process that stands still, page by page, to be compared with that of its restored self.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const PAGE = 4096;
/** The kernel's own pages: other contents at every look. */
const OF_THE_KERNEL = new Set(['[vvar]', '[vvar_vclock]', '[vsyscall]']);
/** Leaf functions may use so much below the stack pointer; what is further down is nobody's. */
const RED_ZONE_BYTES = 128n;
/** struct rseq of Linux 6.3: the kernel writes the current CPU into it whenever it likes. */
const RSEQ_BYTES = 32;

export interface MemoryImage {
  readonly bytes: number;
  /** page address to content, or to the name of the error that reading it gives */
  readonly pages: ReadonlyMap<bigint, Buffer | string>;
  /** range, protection, offset, name */
  readonly areas: readonly string[];
}

interface Area {
  readonly start: bigint;
  readonly end: bigint;
  readonly name: string;
  readonly text: string;
  /** MAP_DROPPABLE: the kernel may empty it at any time, and so may a dump */
  readonly droppable: boolean;
}

/** Reads a process that does not run meanwhile. */
export function readMemoryOf(pid: number): MemoryImage {
  const areas = areasOf(pid);
  const pages = new Map<bigint, Buffer | string>();
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const { start, end } of areas.filter((a) => !OF_THE_KERNEL.has(a.name) && !a.droppable)) {
      for (let at = start; at < end; at += BigInt(PAGE)) pages.set(at, readPage(fd, at));
    }
  } finally {
    closeSync(fd);
  }
  blankDeadStack(pid, areas, pages);
  const readable = [...pages.values()].filter((page) => typeof page !== 'string');
  return { bytes: readable.length * PAGE, pages, areas: areas.map(({ text }) => text) };
}

/** From proc_pid_smaps(5): a line as in maps, then fields, `VmFlags` the last of them. */
function areasOf(pid: number): Area[] {
  const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+ \S+) \S+ \d+ *(.*)$/;
  const areas: Area[] = [];
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'latin1').split('\n')) {
    const [, start, end, how, name] = head.exec(line) ?? [];
    if (start !== undefined) {
      // Device and inode of shared anonymous memory are new ones.
      const text = `${start}-${end} ${how} ${name}`;
      areas.push({
        start: BigInt(`0x${start}`),
        end: BigInt(`0x${end}`),
        name: name!,
        text,
        droppable: false,
      });
    } else if (/^VmFlags:.* dp\b/.test(line)) {
      areas.push({ ...areas.pop()!, droppable: true });
    }
  }
  return areas;
}

function readPage(fd: number, at: bigint): Buffer | string {
  const page = Buffer.alloc(PAGE);
  try {
    return readSync(fd, page, 0, PAGE, at) === PAGE ? page : 'short';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'error';
  }
}

/** Below the main thread's stack pointer there is nothing that a program may rely on. */
function blankDeadStack(
  pid: number,
  areas: readonly Area[],
  pages: Map<bigint, Buffer | string>,
): void {
  const stack = areas.find(({ name }) => name === '[stack]');
  const pointer = /^.* (0x[0-9a-f]+) 0x[0-9a-f]+$/.exec(
    readFileSync(`/proc/${pid}/syscall`, 'latin1').trim(),
  )?.[1];
  if (!stack || pointer === undefined) return;
  const live = BigInt(pointer) - RED_ZONE_BYTES;
  for (let at = stack.start; at < live; at += BigInt(PAGE)) {
    const page = pages.get(at);
    if (typeof page === 'string' || page === undefined) continue;
    page.fill(0, 0, Number(live - at < BigInt(PAGE) ? live - at : BigInt(PAGE)));
  }
}

/** Every page that is not the same, with what is different; empty when nothing is. */
export function compareMemory(before: MemoryImage, now: MemoryImage): string[] {
  const missing = before.areas
    .filter((area) => !now.areas.includes(area))
    .map((a) => `no longer: ${a}`);
  const fresh = now.areas.filter((area) => !before.areas.includes(area)).map((a) => `new: ${a}`);
  const changed = [...before.pages].flatMap(([at, page]) => differ(at, page, now.pages.get(at)));
  return [...missing, ...fresh, ...changed];
}

function differ(at: bigint, page: Buffer | string, now: Buffer | string | undefined): string[] {
  if (typeof page === 'string' || typeof now === 'string' || now === undefined) {
    return page === now ? [] : [`${at.toString(16)}: ${name(page)}, then ${name(now)}`];
  }
  const places = [...page.keys()].filter((i) => page[i] !== now[i]);
  if (places.length === 0 || isRseq(page, places)) return [];
  return [`${at.toString(16)}: ${places.length} bytes from ${places[0]} to ${places.at(-1)}`];
}

const name = (page: Buffer | string | undefined): string =>
  typeof page === 'string'
    ? page
    : page
      ? createHash('sha1').update(page).digest('hex')
      : 'nothing';

/** cpu_id_start and cpu_id are the first words of the area, node_id and mm_cid the sixth and seventh. */
function isRseq(page: Buffer, places: readonly number[]): boolean {
  const start = places[0]! & -RSEQ_BYTES;
  if (places.at(-1)! - start >= RSEQ_BYTES) return false;
  return (
    page.readUInt32LE(start) === page.readUInt32LE(start + 4) && page.readUInt32LE(start) < 4096
  );
}
