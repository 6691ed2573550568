// A program that has addresses of another kernel's vDSO: the old code stays as ordinary memory, and each of its functions
// leads to the one of this kernel, or makes the system call that it stands for.
import { type Finding, refusal } from '../finding.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { writeMemory } from '../linux/process-memory.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import { sizeOf } from '../memory/address-space.ts';
import { MAP } from '../memory/area.ts';
import type { PageSets } from '../memory/page-set.ts';
import { kindOf, onlyArea } from '../memory/saved-areas.ts';
import { savedBytes } from '../memory/saved-pages.ts';
import { findVdso, fitsSaved, ownVdso } from '../memory/vdso.ts';
import type { SavedProcess, SavedTree } from '../state/records.ts';
import { functionsOf, type VdsoFunction } from './vdso-symbols.ts';

/** What stands at the entry of an old function from now on. */
export type Detour =
  | { readonly kind: 'jump'; readonly offset: number }
  | { readonly kind: 'call'; readonly nr: number }
  /** no such thing here */
  | { readonly kind: 'refuse' };

/** Of one process. */
export interface VdsoBridge {
  /** where its own vDSO was */
  readonly start: bigint;
  /** by offset of the old function */
  readonly detours: ReadonlyMap<number, Detour>;
}

/** Arguments of these lie in the same registers as those of the call. */
const CALLS: Readonly<Record<string, number>> = {
  clock_gettime: 228,
  gettimeofday: 96,
  time: 201,
  getcpu: 309,
  clock_getres: 229,
  getrandom: 318,
};
/** Its state in the program's memory is laid out by the kernel that the program ran on. */
const ALWAYS_CALLED: ReadonlySet<string> = new Set(['getrandom']);
const LARGEST_VDSO_BYTES = 1n << 20n;
const ENOSYS = -38;

/** @returns undefined when a function of the old one cannot be led anywhere */
export function planDetours(old: Buffer, own: Buffer): Map<number, Detour> | undefined {
  const [from, to] = [functionsOf(old), functionsOf(own)];
  if (!from || !to || from.length === 0) return undefined;
  const detours = new Map(from.map((one) => [one.offset, detourOf(one, to)]));
  const fits = from.every((one) => codeOf(detours.get(one.offset)!, 0n).length <= one.bytes);
  const inside = from.every(({ offset, bytes }) => offset > 0 && offset + bytes <= old.length);
  return fits && inside ? detours : undefined;
}

function detourOf({ names }: VdsoFunction, to: readonly VdsoFunction[]): Detour {
  const target = to.find((one) => [...one.names].some((name) => names.has(name)));
  const called = [...names].find((name) => CALLS[name] !== undefined);
  const mustCall = [...names].some((name) => ALWAYS_CALLED.has(name));
  if (target && !mustCall) return { kind: 'jump', offset: target.offset };
  return called === undefined ? { kind: 'refuse' } : { kind: 'call', nr: CALLS[called]! };
}

/** Machine code of a detour; rax is nobody's at the entry of a function (System V ABI). */
export function codeOf(detour: Detour, vdso: bigint): Buffer {
  switch (detour.kind) {
    case 'jump': {
      // movabs $address, %rax; jmp *%rax
      const code = Buffer.from('48b80000000000000000ffe0', 'hex');
      code.writeBigUInt64LE(vdso + BigInt(detour.offset), 2);
      return code;
    }
    case 'call': {
      // mov $nr, %eax; syscall; ret
      const code = Buffer.from('b8000000000f05c3', 'hex');
      code.writeUInt32LE(detour.nr, 1);
      return code;
    }
    case 'refuse': {
      // mov $-ENOSYS, %rax; ret
      const code = Buffer.from('48c7c000000000c3', 'hex');
      code.writeInt32LE(ENOSYS, 3);
      return code;
    }
  }
}

export interface BridgedTree {
  readonly tree: SavedTree;
  readonly findings: readonly Finding[];
  /** processes with the vDSO of this kernel, byte for byte */
  readonly same: ReadonlySet<number>;
}

/**
 * Makes the vDSO of every process that had another one an ordinary area of it. What cannot be bridged stays as it is, and is
 * refused with the rest of the memory.
 */
export function bridgeTree(tree: SavedTree, pages: PageSets): BridgedTree {
  const own = ownVdso();
  const findings: Finding[] = [];
  const same = new Set<number>();
  const processes = tree.processes.map((saved) => {
    const code = saved.mm && onlyArea(saved.mm, 'vdso');
    if (!own || !code || !isSane(code)) return saved;
    const bytes = savedBytes(code, pages.pagesOf(saved.pid).runs);
    if (fitsSaved(own.vdso, saved.mm) && bytes.equals(own.bytes)) {
      same.add(saved.pid);
      return saved;
    }
    const detours = planDetours(bytes, own.bytes);
    if (!detours) return saved;
    findings.push(...threadsInside(saved, code, detours));
    return { ...saved, mm: asMemory(saved.mm), bridge: { start: code.start, detours } };
  });
  const bridged = processes.find((one) => one.bridge !== undefined);
  return bridged
    ? { tree: { ...tree, processes }, findings: [...findings, NOTE], same }
    : { tree, findings, same };
}

/** An image may say anything; the rest of the check does. */
function isSane(code: VmaEntry): boolean {
  const bytes = sizeOf(code);
  return bytes > 0n && bytes <= LARGEST_VDSO_BYTES;
}

const NOTE: Finding = {
  code: 'VdsoBridged',
  severity: 'note',
  pid: 0,
  object: 'vDSO of another kernel build',
  advice: 'its functions lead to those of the kernel here; other differences nobody can see',
};

/** In the middle of the old code a thread would read the clock's data where there is none. */
function threadsInside(
  { pid, threads }: SavedProcess,
  code: VmaEntry,
  detours: ReadonlyMap<number, Detour>,
): Finding[] {
  const advice = 'save once more, or restore on a node with the same kernel build as the source';
  return threads.flatMap(({ tid, core }) => {
    const ip = core.threadInfo?.gpregs.ip ?? 0n;
    if (ip < code.start || ip >= code.end || detours.has(Number(ip - code.start))) return [];
    return [{ ...refusal('VdsoInUse', pid, `thread ${tid} in the vDSO`, advice), tid }];
  });
}

function asMemory(mm: MmEntry): MmEntry {
  const vmas = mm.vmas.filter((area) => kindOf(area) !== 'vvar').map(ordinary);
  return { ...mm, vmas };
}

function ordinary(area: VmaEntry): VmaEntry {
  if (kindOf(area) !== 'vdso') return area;
  const status = VmaStatus.REGULAR | VmaStatus.ANON_PRIVATE;
  return { ...area, status, flags: MAP.PRIVATE | MAP.ANONYMOUS };
}

/** Leads the old functions to the vDSO that the process has, wherever that lies. Its memory is complete and compared. */
export function buildBridge(pid: number, { start, detours }: VdsoBridge): void {
  const vdso = findVdso(readMaps(pid));
  if (!vdso) throw new Error(`process ${pid} has no vDSO to lead the saved one to`);
  for (const [offset, detour] of detours) {
    writeMemory(pid, start + BigInt(offset), codeOf(detour, vdso.code.start));
  }
}
