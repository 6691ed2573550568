// --external and --inherit-fd of criu(8): what a dump leaves out, what a restore is handed in.
import type { InheritedDescriptor } from '../protocol.ts';
import { canonicalResource } from '../state/files/resource.ts';
import { UsageError } from './usage-error.ts';

/**
 * @param texts `fd[N]:RESOURCE`, each
 * @throws UsageError that names the option
 */
export function parseInherited(texts: readonly string[]): InheritedDescriptor[] {
  return texts.map((text) => {
    const option = `--inherit-fd ${text}`;
    const match = /^fd\[(\d+)\]:(.+)$/.exec(text);
    if (!match)
      throw new UsageError(`${option}: fd[N]:RESOURCE is wanted, N an open descriptor of criu`);
    const [, fd, resource = ''] = match;
    if (canonicalResource(resource) === undefined) {
      throw new UsageError(
        `${option}: pipe[INO], socket[INO], file[MNT:INO], tty[RDEV:DEV] (hexadecimal) or a path is wanted`,
      );
    }
    return { fd: Number(fd), resource };
  });
}

/** Nothing of a mount is saved: files are found by their paths where the restore runs. */
const MOUNTS: ReadonlySet<string> = new Set(['mnt', 'dev']);
const FILES: ReadonlySet<string> = new Set(['file', 'tty', 'unix', 'pipe']);

/**
 * What a dump must not look into.
 *
 * @throws UsageError for what has no meaning here
 */
export function parseExternal(texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    const option = `--external ${text}`;
    const type = /^(\w+):?\[[^\]]*\]/.exec(text)?.[1] ?? '';
    if (MOUNTS.has(type)) return [];
    if (FILES.has(type)) {
      const name = canonicalResource(text);
      if (name !== undefined) return [name];
      throw new UsageError(
        `${option}: file[MNT:INO], tty[RDEV:DEV] (hexadecimal), unix[INO] or pipe[INO] is wanted`,
      );
    }
    if (type === 'net' || type === 'pid') {
      throw new UsageError(
        `${option}: no namespace is saved; leave it out, and run the restore inside of the one that is wanted`,
      );
    }
    throw new UsageError(`${option}: mnt, dev, file, tty, unix and pipe are known`);
  });
}

/** A restore makes no mount and no device. @throws UsageError for everything but `mnt[]` */
export function refuseExternal(texts: readonly string[]): void {
  const other = texts.find((text) => !/^mnt\[\](:|$)/.test(text));
  if (other === undefined) return;
  throw new UsageError(
    `--external ${other}: a restore makes no mounts and devices: make it before, and leave the option out; open files go by --inherit-fd`,
  );
}
