// Walking and removing what lies below a directory of a volume. Never follows a link, never trusts a name.
import { errnoOf, TaskFailure } from '../task-failure.ts';
import type { Directory } from './directory.ts';

/** Deeper nesting is none of ours. */
const MAX_DEPTH = 64;

export interface FoundFile {
  /** relative to the directory given to `listFiles` */
  readonly path: string;
  readonly sizeBytes: number;
}

/**
 * All regular files below `directory`, sorted by path.
 *
 * @throws TaskFailure BundleInvalid when something is neither file nor directory
 */
export async function listFiles(directory: Directory): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  await visit(directory, '', 0, async (parent, name, path) => {
    const stat = await parent.lstat(name);
    if (!stat.isFile()) {
      throw new TaskFailure('BundleInvalid', `${path} is neither a file nor a directory`);
    }
    found.push({ path, sizeBytes: Number(stat.size) });
  });
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Makes every name and every byte below (and in) `directory` durable. */
export async function syncTree(directory: Directory): Promise<void> {
  const onFile = async (parent: Directory, name: string): Promise<void> => {
    const handle = await parent.openForReading(name);
    try {
      await parent.syncFile(handle);
    } finally {
      await parent.closeFile(handle);
    }
  };
  await visit(directory, '', 0, onFile, (left) => left.sync());
  await directory.sync();
}

/** Removes `name` with everything below it; no error when it is not there. Links are removed, not followed. */
export async function removeTree(parent: Directory, name: string): Promise<void> {
  const stat = await parent.find(name);
  if (stat === undefined) {
    return;
  }
  if (!stat.isDirectory()) {
    await parent.removeFile(name);
    return;
  }
  {
    await using directory = await parent.directory(name);
    await emptyDirectory(directory, 0);
  }
  await parent.removeEmptyDirectory(name);
}

type OnFile = (parent: Directory, name: string, path: string) => Promise<void>;

async function visit(
  directory: Directory,
  prefix: string,
  depth: number,
  onFile: OnFile,
  onLeave?: (directory: Directory) => Promise<void>,
): Promise<void> {
  assertDepth(directory, depth);
  for (const entry of await directory.entries()) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) {
      await using child = await directory.directory(entry.name);
      await visit(child, `${path}/`, depth + 1, onFile, onLeave);
      await onLeave?.(child);
    } else {
      await onFile(directory, entry.name, path);
    }
  }
}

async function emptyDirectory(directory: Directory, depth: number): Promise<void> {
  assertDepth(directory, depth);
  for (const entry of await directory.entries()) {
    if (entry.isDirectory()) {
      {
        await using child = await directory.directory(entry.name);
        await emptyDirectory(child, depth + 1);
      }
      await ignoreMissing(directory.removeEmptyDirectory(entry.name));
    } else {
      await directory.removeFile(entry.name);
    }
  }
}

function assertDepth(directory: Directory, depth: number): void {
  if (depth > MAX_DEPTH) {
    throw new TaskFailure('BundleInvalid', `${directory.label} is nested too deeply`);
  }
}

async function ignoreMissing(removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      throw error;
    }
  }
}
