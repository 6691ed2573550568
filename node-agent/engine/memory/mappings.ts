// The address space of one process as CRIU's mm message: read while it runs, checked again in the freeze.
import { SYS } from '../arch/x86-64.ts';
import { type Finding, refusal } from '../finding.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { type Mapping, readKnownMaps } from '../linux/procfs/maps.ts';
import { readProc, readProcBytes } from '../linux/procfs/read.ts';
import { readStat, STAT } from '../linux/procfs/status.ts';
import type { ProcessRecord } from '../state/records.ts';
import type { ProcessSubject } from '../state/state-kind.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import { collectRings } from './aio-ring.ts';
import {
  type Area,
  type AreaFile,
  type AreaKind,
  classify,
  describeMapping,
  hasFile,
  vmaEntryOf,
} from './area.ts';
import { HeadroomGauge } from './headroom.ts';
import { reapLeftBehind, snapshotsLeftBehind } from './reap.ts';
import { type InternalDevices, internalDevices } from './internal-devices.ts';
import {
  type EarlierMappings,
  fileIds,
  knownFlags,
  type MappingRegistry,
  openFlagsOfAll,
  unchanged,
} from './mapped-files.ts';
import { readMappings } from './watched-mappings.ts';

const PR_GET_DUMPABLE = 3;
const PR_GET_THP_DISABLE = 42;
/** More than an engine that is killed again and again leaves; the rest waits for the next session. */
const MAX_REAPED = 20;
const PAGE_BYTES = 4096;

/** What was read of a process while it ran. */
export interface PreparedMappings extends EarlierMappings {
  readonly pid: number;
  readonly devices: InternalDevices;
  /** what they are, without those that would be refused */
  readonly kinds: ReadonlyMap<Mapping, AreaKind>;
  /** CRIU's mm_saved_auxv: does not change while the program is the same */
  readonly auxv: readonly bigint[];
  /** pids of snapshots that a killed engine left, as the process knows them */
  readonly leftBehind: readonly number[];
  /** resident, without what files hold: what a snapshot may cost if every page is written to */
  readonly anonymousBytes: number;
  /** of its memory cgroups */
  readonly gauge: HeadroomGauge;
  /** below the tightest limit, undefined for none */
  readonly roomBytes: number | undefined;
}

/** The memory of one stopped process: what the snapshot and the pages are made from. */
export interface ProcessMemory {
  readonly process: TracedProcess;
  /** when it began, as /proc/PID/stat tells it */
  readonly startTime: string;
  /** all that can be saved, ascending; parts of the vvar are apart */
  readonly areas: readonly Area[];
  readonly anonymousBytes: number;
  readonly gauge: HeadroomGauge;
  readonly roomBytes: number | undefined;
  /** writes `mm` once the batch that was handed in has run */
  writeTo(record: ProcessRecord): void;
}

/** Reads layout and flags: 9 ms per GiB of resident memory, so the application should run. */
export function prepareMappings(process: TracedProcess): PreparedMappings {
  const { pid } = process;
  const mappings = readMappings(pid);
  const devices = internalDevices();
  const gauge = new HeadroomGauge(pid);
  return {
    pid,
    mappings,
    openFlags: openFlagsOfAll(pid, mappings),
    devices,
    kinds: kindsOf(mappings, devices),
    auxv: auxiliaryVector(pid),
    leftBehind: snapshotsLeftBehind(pid).slice(0, MAX_REAPED),
    anonymousBytes: anonymousBytes(pid),
    gauge,
    roomBytes: gauge.read(),
  };
}

/** What was found out before, with the mappings of a later moment. */
export const withMappings = (
  prepared: PreparedMappings,
  mappings: readonly Mapping[],
): PreparedMappings => ({ ...prepared, mappings, kinds: kindsOf(mappings, prepared.devices) });

function kindsOf(
  mappings: readonly Mapping[],
  devices: InternalDevices,
): ReadonlyMap<Mapping, AreaKind> {
  const kinds = new Map<Mapping, AreaKind>();
  for (const mapping of mappings) {
    // Who is refused is told in the freeze, if it is still there.
    const kind = classify(mapping, devices, 0);
    if (typeof kind === 'string') kinds.set(mapping, kind);
  }
  return kinds;
}

/** Areas as they were when the process ran, without those that would be refused. */
export const areasOf = ({ kinds }: PreparedMappings): Area[] =>
  [...kinds].map(([mapping, kind]) => ({ mapping, kind }));

/**
 * Collects the address space of a stopped process. The interpreter's own mapping is left out.
 *
 * @param remote the process's shared batch: a few calls are queued on it
 * @returns what is known; findings of mappings that cannot be saved go to `subject.report`
 */
export function collectMappings(
  subject: ProcessSubject,
  prepared: PreparedMappings,
  registry: MappingRegistry,
  remote: RemoteBatch,
): ProcessMemory {
  const { process } = subject;
  const areas: Area[] = [];
  for (const mapping of mappingsOfNow(process, prepared.mappings)) {
    const kind = prepared.kinds.get(mapping) ?? classify(mapping, prepared.devices, process.nsPid);
    if (typeof kind !== 'string') subject.report(kind);
    else if (kind === 'sysv-segment' && !registry.hasIpc)
      subject.report(outsideIpc(process, mapping));
    else areas.push({ mapping, kind, ...hugePagesOf(mapping, prepared.devices) });
  }
  const ids = fileIds(subject, registry, knownFlags(prepared));
  const exeFileId = ids.ofExe();
  const files = areas.map((area) => (hasFile(area.kind) ? ids.ofArea(area) : undefined));
  const stat = readStat(process.pid);
  const mmSavedAuxv = [...prepared.auxv];
  reapLeftBehind(prepared.leftBehind, remote);
  const aios = collectRings(process.pid, areas);
  const brk = remote.must(SYS.brk, 0);
  const dumpable = remote.call(SYS.prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
  const thpDisabled = remote.call(SYS.prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0);
  return {
    process,
    startTime: stat(STAT.startTime),
    areas,
    anonymousBytes: prepared.anonymousBytes,
    gauge: prepared.gauge,
    roomBytes: prepared.roomBytes,
    writeTo: ({ mm }) => {
      const vmas = entriesOf(areas, files);
      Object.assign(mm, addressFields(stat), {
        mmBrk: brk.value,
        exeFileId,
        mmSavedAuxv,
        vmas,
        aios,
      });
      mm.dumpable = dumpable.number;
      mm.thpDisabled = thpDisabled.value === 1n;
    },
  };
}

/**
 * The layout of now with the flags of before. Only when an area is new or changed are the flags read again; a heap or
 * stack that has grown is the same.
 */
function mappingsOfNow(process: TracedProcess, before: readonly Mapping[]): Mapping[] {
  const own = ownRange(process);
  const known = new Map(before.map((mapping) => [mapping.line, mapping]));
  const layout = withoutRange(readKnownMaps(process.pid, known), own.start, own.end);
  const merged = layout.map((mapping) => {
    if (known.get(mapping.line) === mapping) return mapping;
    const old = before.find(({ start }) => start === mapping.start);
    return old && unchanged(old, mapping) ? withMarks(mapping, old) : undefined;
  });
  if (merged.every((mapping) => mapping !== undefined)) return merged;
  return withoutRange(readMappings(process.pid), own.start, own.end);
}

const withMarks = (now: Mapping, { flags, protectionKey }: Mapping): Mapping => ({
  ...now,
  flags,
  ...(protectionKey === undefined ? {} : { protectionKey }),
});

function ownRange(process: TracedProcess): { start: bigint; end: bigint } {
  const { resident } = process;
  if (!resident) return { start: 0n, end: 0n };
  return { start: resident.base, end: resident.base + BigInt(resident.bytes) };
}

/** Cuts a range out: the kernel may have merged it with a neighbour of the same protection. */
export function withoutRange(mappings: readonly Mapping[], start: bigint, end: bigint): Mapping[] {
  return mappings.flatMap((mapping) => {
    if (mapping.end <= start || mapping.start >= end) return [mapping];
    const below = mapping.start < start ? [{ ...mapping, end: start }] : [];
    const skipped = end - mapping.start;
    const above =
      mapping.end > end ? [{ ...mapping, start: end, offset: mapping.offset + skipped }] : [];
    return [...below, ...above];
  });
}

/** @param files of the areas that have one */
function entriesOf(areas: readonly Area[], files: readonly (AreaFile | undefined)[]): VmaEntry[] {
  const entries: VmaEntry[] = [];
  for (const [i, area] of areas.entries()) {
    const entry = vmaEntryOf(area, files[i]);
    const last = entries.at(-1);
    // The kernel shows the parts of the vvar one by one, CRIU writes them as one
    if (area.kind === 'vvar' && last?.status === entry.status && last.end === entry.start) {
      entries[entries.length - 1] = { ...last, end: entry.end };
    } else {
      entries.push(entry);
    }
  }
  return entries;
}

/** proc_pid_statm(5): resident pages less those of files and shared memory. */
export function anonymousBytes(pid: number): number {
  const [, resident, shared] = readProc(`/proc/${pid}/statm`).split(' ').map(Number);
  return ((resident ?? 0) - (shared ?? 0)) * PAGE_BYTES;
}

function hugePagesOf(
  mapping: Mapping,
  { hugePages }: InternalDevices,
): Pick<Area, 'hugePageBytes'> {
  const hugePageBytes = mapping.flags.has('ht') ? hugePages.get(mapping.device) : undefined;
  return hugePageBytes === undefined ? {} : { hugePageBytes };
}

const outsideIpc = ({ nsPid }: TracedProcess, mapping: Mapping): Finding =>
  refusal(
    'SysVShm',
    nsPid,
    describeMapping(mapping),
    'it is shared with everybody on this machine: run the application in an IPC namespace of its own',
  );

/** The fields of `struct mm_struct` that /proc/PID/stat shows. */
function addressFields(field: ReturnType<typeof readStat>) {
  const address = (number: number): bigint => BigInt(field(number));
  return {
    mmStartCode: address(STAT.startCode),
    mmEndCode: address(STAT.endCode),
    mmStartData: address(STAT.startData),
    mmEndData: address(STAT.endData),
    mmStartStack: address(STAT.startStack),
    mmStartBrk: address(STAT.startBrk),
    mmArgStart: address(STAT.argStart),
    mmArgEnd: address(STAT.argEnd),
    mmEnvStart: address(STAT.envStart),
    mmEnvEnd: address(STAT.envEnd),
  };
}

/** CRIU refuses an image with more words; AT_NULL at the end goes without saying. */
const MAX_AUXV_WORDS = 44;

function auxiliaryVector(pid: number): bigint[] {
  const bytes = readProcBytes(`/proc/${pid}/auxv`);
  const words = Math.min(MAX_AUXV_WORDS, Math.floor(bytes.length / 8));
  return Array.from({ length: words }, (_, i) => bytes.readBigUInt64LE(i * 8));
}
