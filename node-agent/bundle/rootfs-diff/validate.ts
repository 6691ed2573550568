// Is a rootfs difference safe to apply? All of it is looked at before the first change, without following a link.
// Pure but for reading the archive's headers.
import { messageOf, TaskFailure } from '../../task-failure.ts';
import type { LocatedEntry } from './pax-reader.ts';
import { fromUtf8, parentOf, readable } from './raw-path.ts';

const MAX_ENTRIES = 2_000_000;

export interface ArchiveFacts {
  readonly entries: number;
  readonly contentBytes: number;
}

/**
 * Checks that every entry lies in a directory which the archive itself brings (so that no link can be in the way
 * of one that was valid when it was written), that no name comes twice, and that hard links stay inside.
 *
 * @throws TaskFailure BundleInvalid naming the entry
 */
export function validateEntries(entries: Iterable<LocatedEntry>): ArchiveFacts {
  const directories = new Set(['']);
  const others = new Map<string, 'file' | 'other'>();
  let count = 0;
  let contentBytes = 0;
  for (const { entry } of entries) {
    const { path, type } = entry;
    if (++count > MAX_ENTRIES) {
      throw invalid(`more than ${MAX_ENTRIES} entries`);
    }
    if (!directories.has(parentOf(path))) {
      throw invalid(`${readable(path)} lies in a folder that is a link or not in the archive`);
    }
    if (directories.has(path) || others.has(path)) {
      throw invalid(`${readable(path)} comes twice`);
    }
    if (type === 'hardlink' && others.get(entry.linkPath ?? '') !== 'file') {
      throw invalid(`${readable(path)} is a hard link to something that is not in the archive`);
    }
    if (type === 'directory') {
      directories.add(path);
    } else {
      others.set(path, type === 'file' ? 'file' : 'other');
    }
    contentBytes += entry.sizeBytes;
  }
  return { entries: count, contentBytes };
}

/**
 * Reads `deleted.files`: a JSON list of absolute paths in the container.
 *
 * @returns relative paths, "latin1". @throws TaskFailure BundleInvalid
 */
export function parseDeleted(text: string): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new TaskFailure('BundleInvalid', `deleted.files is not JSON: ${messageOf(error)}`);
  }
  if (!Array.isArray(parsed) || parsed.length > MAX_ENTRIES) {
    throw new TaskFailure('BundleInvalid', 'deleted.files is not a list, or too long');
  }
  return parsed.map((path: unknown) => {
    const relative = typeof path === 'string' ? path.replace(/^\//, '') : '';
    const plain = relative.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
    if (!plain || relative.includes('\0')) {
      throw new TaskFailure('BundleInvalid', `deleted.files: ${JSON.stringify(path)} is no path`);
    }
    return fromUtf8(relative);
  });
}

function invalid(what: string): TaskFailure {
  return new TaskFailure('BundleInvalid', `rootfs-diff.tar: ${what}`);
}
