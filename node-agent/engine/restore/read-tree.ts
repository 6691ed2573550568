// All images of one tree, decoded before anything is changed.
import { IMAGES } from '../image/image-files.ts';
import type { CoreEntry } from '../image/messages/core.ts';
import type { PstreeEntry } from '../image/messages/inventory.ts';
import type { ImageReader } from '../image/reader.ts';
import type { SavedProcess, SavedTree } from '../state/records.ts';
import { type FilterChain, readFilterChains } from '../state/seccomp.ts';
import { TASK_STATE } from '../state/task-facts.ts';
import { validatePstree, validateThreads, validateTree } from './validate-tree.ts';

/**
 * Reads a whole tree.
 *
 * @throws ImageError naming file, record and field of whatever is damaged or missing
 */
export function readTree(images: ImageReader): SavedTree {
  const inventory = images.single(IMAGES.inventory);
  const filtersOf = readFilterChains(images);
  const entries = images.records(IMAGES.pstree);
  validatePstree(entries);
  const processes = entries.map((pstree) => readProcess(images, pstree, filtersOf));
  const tree = { inventory, processes };
  validateTree(tree, new Set(images.openFiles.map(({ id }) => id)));
  return tree;
}

function readProcess(
  images: ImageReader,
  pstree: PstreeEntry,
  filtersOf: (core: CoreEntry) => FilterChain,
): SavedProcess {
  const { pid } = pstree;
  const core = images.single(IMAGES.core(pid));
  if (core.tc?.taskState === TASK_STATE.DEAD) {
    return { pid, pstree, core, zombie: true, threads: [], fdinfo: [] };
  }
  validateThreads(pstree);
  const ids = images.single(IMAGES.ids(pid));
  return {
    pid,
    pstree,
    core,
    zombie: false,
    threads: pstree.threads.map((tid) => {
      const thread = images.single(IMAGES.core(tid));
      return { tid, core: thread, filters: filtersOf(thread) };
    }),
    ids,
    mm: images.single(IMAGES.mm(pid)),
    fs: images.single(IMAGES.fs(pid)),
    fdinfo: images.records(IMAGES.fdinfo(ids.filesId)),
  };
}
