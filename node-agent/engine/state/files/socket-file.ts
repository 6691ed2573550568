// The file that a unix socket is bound to, reached below the root of the restored tree.
import { chmodSync, chownSync, unlinkSync } from 'node:fs';
import type { FilePermsEntry } from '../../image/messages/sockets.ts';
import { encodeText } from '../../image/text.ts';
import { check } from '../../linux/error.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { O, openBelow, S, statBelow } from '../../linux/file-facts.ts';

/** Removes the socket that an earlier life left at a path; anything else there is left alone. */
export function removeSocketFile(root: OwnedFd, path: string): void {
  const found = statBelow(root, path);
  if (!found || (found.mode & S.IFMT) !== S.IFSOCK) return;
  const slash = path.lastIndexOf('/');
  const directory = openBelow(root, path.slice(0, slash) || '/', O.PATH | O.DIRECTORY);
  using parent = new OwnedFd(check(directory, 'open', { object: path }));
  unlinkSync(
    Buffer.concat([Buffer.from(`/proc/self/fd/${parent.fd}/`), encodeText(path.slice(slash + 1))]),
  );
}

export function setSocketPermissions(root: OwnedFd, path: string, perms: FilePermsEntry): void {
  const fd = check(openBelow(root, path, O.PATH | O.NOFOLLOW), 'open', { object: path });
  using file = new OwnedFd(fd);
  const link = `/proc/self/fd/${file.fd}`;
  chownSync(link, perms.uid, perms.gid);
  chmodSync(link, perms.mode & 0o7777);
}
