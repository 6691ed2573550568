// From an images directory, CRIU's or ours, to facts. Opens no pages-N.img, no ghost file and no queue.
import { IMAGES } from '../../node-agent/engine/image/image-files.ts';
import { TaskState } from '../../node-agent/engine/image/messages/enums.ts';
import type { FdinfoEntry, FileEntry } from '../../node-agent/engine/image/messages/files.ts';
import type { PstreeEntry } from '../../node-agent/engine/image/messages/inventory.ts';
import type { ImageReader } from '../../node-agent/engine/image/reader.ts';
import type { DescriptorFacts, ProcessFacts } from './facts.ts';
import { areaFacts } from './memory-map.ts';
import { openFileWords, printable } from './open-files.ts';

const FD_CLOEXEC = 1;

/** @throws ImageError for images that cannot be read */
export function readProcesses(images: ImageReader): readonly ProcessFacts[] {
  const files = new OpenFiles(images.records(IMAGES.files));
  return images.records(IMAGES.pstree).map((process) => processFacts(images, files, process));
}

class OpenFiles {
  readonly #byId: ReadonlyMap<number, FileEntry>;

  constructor(entries: readonly FileEntry[]) {
    this.#byId = new Map(entries.map((entry) => [entry.id, entry]));
  }

  readonly nameOf = (id: number): string | undefined => {
    const name = this.#byId.get(id)?.reg?.name;
    return name === undefined ? undefined : printable(name);
  };

  descriptor({ fd, id, flags }: FdinfoEntry): DescriptorFacts {
    const entry = this.#byId.get(id);
    const words =
      entry === undefined
        ? { type: 'unknown', object: `open file ${id} is not in files.img` }
        : openFileWords(entry, this.nameOf);
    return { fd, ...words, closeOnExec: (flags & FD_CLOEXEC) !== 0 };
  }
}

function processFacts(images: ImageReader, files: OpenFiles, process: PstreeEntry): ProcessFacts {
  const { pid, ppid, pgid, sid, threads } = process;
  const task = images.records(IMAGES.core(pid))[0]?.tc;
  const [ids] = images.records(IMAGES.ids(pid));
  const [mm] = images.records(IMAGES.mm(pid));
  const [fs] = images.records(IMAGES.fs(pid));
  const descriptors = ids === undefined ? [] : images.records(IMAGES.fdinfo(ids.filesId));
  const executable = mm && files.nameOf(mm.exeFileId);
  const directory = fs && files.nameOf(fs.cwdId);
  return {
    pid,
    parent: ppid,
    group: pgid,
    session: sid,
    threads,
    command: printable(task?.comm ?? ''),
    state: stateOf(task?.taskState),
    ...(executable === undefined ? {} : { executable }),
    ...(directory === undefined ? {} : { directory }),
    descriptors: descriptors
      .map((descriptor) => files.descriptor(descriptor))
      .toSorted((a, b) => a.fd - b.fd),
    areas:
      mm === undefined ? [] : areaFacts(mm.vmas, images.records(IMAGES.pagemap(pid)), files.nameOf),
  };
}

function stateOf(taskState: number | undefined): ProcessFacts['state'] {
  if (taskState === TaskState.DEAD) {
    return 'dead';
  }
  return taskState === TaskState.STOPPED ? 'stopped' : 'alive';
}
