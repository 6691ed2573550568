// Everything one can see of a directory tree, as text to compare: for tests.
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { getXattr, listXattrs } from '../native.ts';
import { join, rawPath } from '../raw-path.ts';

/** A line a name: type, mode, owner, time, size, content, attributes, and which names are one file. */
export function snapshotTree(root: string, skip: readonly string[]): string[] {
  const lines: string[] = [];
  const firstNames = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const name of readdirSync(rawPath(`${root}/${folder}`), { encoding: 'latin1' }).sort()) {
      const path = join(folder, name);
      if (skip.includes(path)) {
        continue;
      }
      const full = `${root}/${path}`;
      const stat = lstatSync(rawPath(full), { bigint: true });
      const key = `${stat.dev}:${stat.ino}`;
      const first = stat.isDirectory() ? path : (firstNames.get(key) ?? path);
      firstNames.set(key, first);
      const xattrs = listXattrs(full).sort();
      const values = xattrs.map((name) => `${name}=${getXattr(full, name)?.toString('hex')}`);
      const owner = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}`;
      const size = stat.isDirectory() ? '' : `${stat.size}`;
      lines.push(
        [path, owner, stat.mtimeNs, size, first, content(full, stat), ...values].join(' '),
      );
      if (stat.isDirectory()) {
        visit(path);
      }
    }
  };
  visit('');
  return lines;
}

function content(path: string, stat: { isFile(): boolean; isSymbolicLink(): boolean }): string {
  if (stat.isSymbolicLink()) {
    return readlinkSync(rawPath(path), { encoding: 'latin1' });
  }
  return stat.isFile()
    ? createHash('sha256')
        .update(readFileSync(rawPath(path)))
        .digest('hex')
    : '';
}
