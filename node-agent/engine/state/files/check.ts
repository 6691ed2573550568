// What stands against opening the files of a saved tree here, told before the first change.
import { type Finding, refusal } from '../../finding.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import type { ImageReader } from '../../image/reader.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { type FileStat, O, openPath, statBelow } from '../../linux/file-facts.ts';
import { kindOf } from '../../memory/saved-areas.ts';
import type { InheritedDescriptor } from '../../protocol.ts';
import type { SavedTree } from '../records.ts';
import type { FileTarget, FileTargetOptions } from './file-opening.ts';
import { type Inheritance, planInheritance } from './inherited.ts';
import { FILE_KINDS } from './kinds.ts';
import { pathHere } from './volume-path.ts';
import { SavedFiles } from './saved-files.ts';

/**
 * Where a tree is to live.
 *
 * @param placeholderPid process that becomes the root of the tree; undefined for a standalone birth in the engine's own
 *   namespaces
 * @param inherited what takes the place of saved files
 * @param rewound   whether a rewind left that placeholder
 */
export function targetOf(
  placeholderPid: number | undefined,
  inherited: readonly InheritedDescriptor[] = [],
  rewound = false,
): FileTargetOptions {
  if (placeholderPid === undefined) {
    return {
      root: '/',
      networkPid: process.pid,
      fileSizes: 'exact',
      addresses: 'exact',
      connections: 'closed',
      rewound: false,
      inherited,
    };
  }
  // The source runs on and writes while its files are copied: a size that differs is told, not refused.
  return {
    root: `/proc/${placeholderPid}/root`,
    networkPid: placeholderPid,
    fileSizes: 'tolerant',
    addresses: 'pod',
    connections: 'reset',
    rewound,
    inherited,
  };
}

/**
 * Judges every file that a process of the tree holds, maps, runs or stands in.
 *
 * @throws ImageError when an image is damaged
 */
export function checkFiles(
  tree: SavedTree,
  images: ImageReader,
  options: FileTargetOptions,
): Finding[] {
  const saved = new SavedFiles(images);
  using root = new OwnedFd(openPath(options.root, O.PATH | O.DIRECTORY));
  const holders = new Map<number, number>();
  for (const { pid, fdinfo } of tree.processes) {
    for (const { id } of fdinfo) if (!holders.has(id)) holders.set(id, pid);
  }
  // Many descriptors may lead to one file.
  const known = new Map<string, FileStat | undefined>();
  const target: FileTarget = {
    saved,
    options,
    stat: (path) => {
      if (!known.has(path)) known.set(path, statHere(root, path));
      return known.get(path);
    },
    pidOf: (id) => holders.get(id) ?? 0,
  };
  const inheritance = planInheritance(saved, tree, options.inherited);
  const replaced = replacedEntries(saved, inheritance);
  const lost = [...holders].filter(([id]) => !saved.entries.has(id));
  return [
    ...lost.map(([id, pid]) =>
      refusal('FileEntryMissing', pid, `file ${id}`, 'files.img does not have it: dump again'),
    ),
    ...ringsWithoutSocket(
      tree,
      (id) => holders.has(id) && saved.entries.get(id)?.psk !== undefined,
    ),
    ...inheritance.findings,
    ...[...saved.entries.values()]
      .filter(({ id }) => !replaced.has(id))
      .flatMap((entry) => checkEntry(entry, target)),
  ];
}

const statHere = (root: OwnedFd, path: string): FileStat | undefined =>
  statBelow(
    root,
    pathHere(path, (p) => statBelow(root, p) !== undefined),
  );

/** What is not opened: the files themselves, and the paths of FIFOs and terminals. */
function replacedEntries(saved: SavedFiles, { fds }: Inheritance): ReadonlySet<number> {
  const ids = [...fds.keys()];
  const paths = ids.flatMap((id) => {
    const { fifo, tty } = saved.entry(id);
    return [fifo?.regfId ?? tty?.regfId ?? id];
  });
  return new Set([...ids, ...paths]);
}

/** A ring is mapped from its open socket. */
function ringsWithoutSocket(
  { processes }: SavedTree,
  isSocket: (id: number) => boolean,
): Finding[] {
  const advice = 'no process holds its packet socket: dump again';
  return processes.flatMap(({ pid, mm }) =>
    (mm?.vmas ?? [])
      .filter((area) => kindOf(area) === 'packet-ring' && !isSocket(Number(area.shmid)))
      .map(({ start }) => refusal('PacketRing', pid, `ring at ${start.toString(16)}`, advice)),
  );
}

function checkEntry(entry: FileEntry, target: FileTarget): Finding[] {
  const kind = FILE_KINDS.find((candidate) => candidate.restores(entry));
  if (kind) return kind.check?.(entry, target) ?? [];
  const object = `file ${entry.id} of type ${entry.type}`;
  const advice = 'this kind of open file cannot be restored yet';
  return [refusal('FileTypeUnsupported', target.pidOf(entry.id), object, advice)];
}
