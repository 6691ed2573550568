// How overlayfs marks things in its layers (Documentation/filesystems/overlayfs.rst): deleted names, directories
// that hide those below, files of which only the metadata was copied up, directories that were renamed.
import type { BigIntStats } from 'node:fs';
import { getXattr } from './native.ts';

/** `user.` where the overlay was mounted with userxattr, as in user namespaces. */
const PREFIXES = ['trusted.overlay.', 'user.overlay.'] as const;

function overlayXattr(path: string, name: string): string | undefined {
  for (const prefix of PREFIXES) {
    const value = getXattr(path, `${prefix}${name}`);
    if (value !== undefined) {
      return value.toString('latin1');
    }
  }
  return undefined;
}

/** A character device 0:0; since Linux 6.7 also an empty file with an attribute. */
export function isWhiteout(path: string, stat: BigIntStats): boolean {
  if (stat.isCharacterDevice()) {
    return stat.rdev === 0n;
  }
  return stat.isFile() && stat.size === 0n && overlayXattr(path, 'whiteout') !== undefined;
}

/** Nothing of the lower layers shows in this directory. */
export const isOpaque = (path: string): boolean => overlayXattr(path, 'opaque') === 'y';

/** The lower content of this directory comes from another place: it was renamed with redirect_dir=on. */
export const isRedirected = (path: string): boolean => overlayXattr(path, 'redirect') !== undefined;

/** Attributes that belong to a container's files, and not to the overlay, the node or the new pod. */
export function isPortableXattr(name: string): boolean {
  const own = PREFIXES.some((prefix) => name.startsWith(prefix));
  const ofNode = ['security.selinux', 'security.ima', 'security.evm'].includes(name);
  return !own && !ofNode;
}
