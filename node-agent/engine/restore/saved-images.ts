// The images of one tree to restore, opened and judged.
import type { Finding } from '../finding.ts';
import { refusal } from '../finding.ts';
import { ImageReader } from '../image/reader.ts';
import { readStatus } from '../linux/procfs/status.ts';
import { checkMemory } from '../memory/check.ts';
import { PageSets } from '../memory/page-set.ts';
import type { RestoreTree } from '../protocol.ts';
import type { SavedTree } from '../state/records.ts';
import { checkCredentials } from '../state/credentials.ts';
import { checkFiles, targetOf } from '../state/files/check.ts';
import type { FileTargetOptions } from '../state/files/file-opening.ts';
import { IpcRestore } from '../state/ipc/ipc-namespace.ts';
import { lostSessions } from './birth-order.ts';
import { readTree } from './read-tree.ts';
import { bridgeTree } from './vdso-bridge.ts';

export interface OpenedTree {
  readonly name: string;
  readonly placeholderPid: number | undefined;
  readonly images: ImageReader;
  readonly pages: PageSets;
  readonly tree: SavedTree;
  readonly ipc: IpcRestore;
  readonly target: FileTargetOptions;
  readonly asSibling: boolean;
  readonly memoryBytes: number;
  /** everything that speaks against restoring it here, without having changed anything */
  check(): Finding[];
  /** what its processes may not become, with the rights of the placeholder as it is now */
  checkRights(): Finding[];
}

/** Dispose of its `images` when done. @throws ImageError for damaged images */
export function openSavedTree({
  name,
  imagesDir,
  placeholderPid,
  parents,
  inherited,
  asSibling = false,
  rewound = false,
}: RestoreTree): OpenedTree {
  const images = new ImageReader(imagesDir, parents);
  try {
    const pages = new PageSets(images);
    const { tree, findings: bridged, same } = bridgeTree(readTree(images), pages);
    const memory = checkMemory(tree, images, { pages, sameVdso: same });
    const ipc = new IpcRestore(images);
    const target = targetOf(placeholderPid, inherited, rewound);
    return {
      name,
      placeholderPid,
      images,
      pages,
      tree,
      ipc,
      target,
      asSibling,
      memoryBytes: memory.bytes,
      checkRights: () =>
        placeholderPid === undefined ? [] : checkCredentials(tree, readStatus(placeholderPid)),
      check: () => [
        ...leaders(tree),
        ...bridged,
        ...memory.findings,
        ...ipc.check(placeholderPid),
        ...checkFiles(tree, images, target),
      ],
    };
  } catch (error) {
    images[Symbol.dispose]();
    throw error;
  }
}

function leaders(tree: SavedTree): Finding[] {
  return lostSessions(tree).map(({ pid, sid }) =>
    refusal(
      'SessionLeaderGone',
      pid,
      `session ${sid}`,
      'its leader had ended and its members have different parents; such a tree cannot be rebuilt',
    ),
  );
}
