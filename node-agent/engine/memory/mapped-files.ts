// The files behind mappings: which file each one is, and how it was opened.
import { lstatSync } from 'node:fs';
import { type Finding, refusal } from '../finding.ts';
import { type Mapping, sameMapping } from '../linux/procfs/maps.ts';
import type { ProcessSubject } from '../state/state-kind.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import { type Area, type AreaFile, describeMapping } from './area.ts';
import type { SharedMemoryDump } from './shared-memory.ts';

const WRITABLE_LINK = 0o200;
const O_RDONLY = 0;
const O_RDWR = 2;

/** What the register of files does for mappings and the executable. */
export interface MappedFiles {
  /** File id of the file that a magic link below /proc/PID leads to. */
  pathFile(
    process: TracedProcess,
    magicLink: string,
    openFlags: number,
    report: (finding: Finding) => void,
  ): number;
  /** File id of what a descriptor with this link text leads to; `broken` is called when there turns out to be none. */
  promise(link: string, broken: () => void): number;
}

/** Where the files and shared objects behind mappings are registered: one for all processes of a tree. */
export interface MappingRegistry {
  readonly files: MappedFiles;
  readonly sharedMemory: SharedMemoryDump;
  /** is System V IPC of the tree saved, too? */
  readonly hasIpc: boolean;
}

/** Mappings as they were while the process ran. */
export interface EarlierMappings {
  /** with VmFlags, ascending */
  readonly mappings: readonly Mapping[];
  /** flags to open their files with, by start address */
  readonly openFlags: ReadonlyMap<bigint, number>;
}

/** @returns flags to open the files of mappings with, by start address */
export function openFlagsOfAll(pid: number, mappings: readonly Mapping[]): Map<bigint, number> {
  const withFile = mappings.filter(({ inode }) => inode !== 0n);
  return new Map(withFile.map((mapping) => [mapping.start, openFlagsOf(pid, mapping)]));
}

const GROWING = /^\[(heap|stack)\]$/;

/** Is it the mapping of before? A heap or stack that has grown is. */
export function unchanged(old: Mapping, now: Mapping): boolean {
  if (!sameMapping(old, now)) return false;
  return old.end === now.end || GROWING.test(now.name);
}

/** Open flags of before, where the mapping is still the same one. */
export function knownFlags({
  mappings,
  openFlags,
}: EarlierMappings): (now: Mapping) => number | undefined {
  const before = new Map(mappings.map((mapping) => [mapping.start, mapping]));
  return (now) => {
    const old = before.get(now.start);
    const same = old !== undefined && unchanged(old, now);
    return same ? (openFlags.get(now.start) ?? O_RDONLY) : undefined;
  };
}

const mapLink = (pid: number, { start, end }: Mapping): string =>
  `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`;

/** The link's own mode tells how the file was opened. A mapping that vanished meanwhile is read again in the freeze. */
function openFlagsOf(pid: number, mapping: Mapping): number {
  const stat = lstatSync(mapLink(pid, mapping), { throwIfNoEntry: false });
  return stat && (stat.mode & WRITABLE_LINK) !== 0 ? O_RDWR : O_RDONLY;
}

/** File ids of one process's mappings; mappings of one file have one id, as CRIU's have. */
export function fileIds(
  subject: ProcessSubject,
  { files, sharedMemory }: MappingRegistry,
  knownOpenFlags: (mapping: Mapping) => number | undefined,
) {
  const ids = new Map<string, number>();
  const { process } = subject;
  const report = (finding: Finding): void => subject.report(finding);
  const { pid } = process;
  const cached = (key: string, find: () => number): number => {
    const id = ids.get(key) ?? find();
    ids.set(key, id);
    return id;
  };
  const ringOf = (mapping: Mapping): number =>
    files.promise(mapping.name, () => {
      const advice = 'its socket is closed, and only the mapping is left: keep it open';
      report(refusal('PacketRing', process.nsPid, describeMapping(mapping), advice));
    });
  return {
    ofExe: (): number => files.pathFile(process, `/proc/${pid}/exe`, O_RDONLY, report),
    ofArea: ({ mapping, kind }: Area): AreaFile => {
      const link = mapLink(pid, mapping);
      const openFlags = knownOpenFlags(mapping) ?? openFlagsOf(pid, mapping);
      const shared = kind === 'shared-memory' || kind === 'shared-memory-private';
      if (kind === 'packet-ring') return { id: ringOf(mapping), openFlags: O_RDWR };
      const id = cached(`${mapping.device} ${mapping.inode}`, () =>
        shared ? sharedMemory.mappedFileId(link) : files.pathFile(process, link, O_RDONLY, report),
      );
      return { id, openFlags };
    },
  };
}
