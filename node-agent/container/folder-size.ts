// How many bytes the files below a folder have, without ever following a link: the folder belongs to an application.
import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';

/** Enough for any root file system; an estimate need not go on for ever. */
const MAX_ENTRIES = 1_000_000;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Sum of the sizes of regular files; what vanishes meanwhile does not count.
 * @throws LinuxError of `open` for the folder itself, or the signal's reason
 */
export async function folderBytes(path: string, signal: AbortSignal): Promise<number> {
  const budget = { entries: MAX_ENTRIES };
  return await bytesBelow(path, signal, budget);
}

async function bytesBelow(
  path: string,
  signal: AbortSignal,
  budget: { entries: number },
): Promise<number> {
  signal.throwIfAborted();
  // By the descriptor from here on: a folder that becomes a link in this moment leads nowhere else.
  await using folder = await open(path, FOLDER);
  const here = `/proc/self/fd/${folder.fd}`;
  let bytes = 0;
  for (const entry of await readdir(here, { withFileTypes: true })) {
    if (--budget.entries < 0) {
      break;
    }
    const inside = `${here}/${entry.name}`;
    if (entry.isFile()) {
      bytes += await lstat(inside).then(({ size }) => size, vanished);
    } else if (entry.isDirectory()) {
      bytes += await bytesBelow(inside, signal, budget).catch((error: unknown) => {
        signal.throwIfAborted();
        return vanished(error);
      });
    }
  }
  return bytes;
}

function vanished(error: unknown): number {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) {
    return 0;
  }
  throw error;
}
