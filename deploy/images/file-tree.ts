// The content of one image layer: paths and what is there. All files belong to root, all times are 0.

export type Entry =
  | { readonly type: 'file'; readonly mode: number; readonly data: Buffer }
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'symlink'; readonly target: string };

/** Links that a chain may have before it counts as a loop, as in the kernel (path_resolution(7)). */
const MAX_LINKS = 40;

/** Debian joined these with /usr (usrmerge); packages and binaries still name either. */
const MERGED = /^\/(bin|sbin|lib|lib32|lib64|libx32)(?=\/|$)/;

/** Absolute path without `.`, `..` and doubled slashes, below /usr where Debian joined the two. */
export function canonicalPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') {
      parts.pop();
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return `/${parts.join('/')}`.replace(MERGED, '/usr/$1');
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export class FileTree {
  readonly #entries = new Map<string, Entry>();

  /** Adds or replaces; missing parents become directories of mode 755. */
  add(path: string, entry: Entry): void {
    const key = canonicalPath(path);
    if (key === '/') {
      return;
    }
    this.#addParents(key);
    this.#entries.set(key, entry);
  }

  addFile(path: string, data: Buffer | string, mode = 0o644): void {
    this.add(path, { type: 'file', mode, data: Buffer.from(data) });
  }

  addDirectory(path: string, mode = 0o755): void {
    this.add(path, { type: 'directory', mode });
  }

  /** A link at exactly this path: `/lib`, which `add` would take for `/usr/lib`, can be made only so. */
  addRootLink(name: string, target: string): void {
    this.#entries.set(`/${name}`, { type: 'symlink', target });
  }

  get(path: string): Entry | undefined {
    return this.#entries.get(canonicalPath(path));
  }

  /** Every path from `path` to the file that it stands for, following symbolic links; empty if there is none. */
  chain(path: string): readonly string[] {
    const visited: string[] = [];
    let next = canonicalPath(path);
    while (visited.length < MAX_LINKS) {
      const entry = this.#entries.get(next);
      if (entry === undefined) {
        return [];
      }
      visited.push(next);
      if (entry.type !== 'symlink') {
        return visited;
      }
      next = canonicalPath(
        entry.target.startsWith('/') ? entry.target : `${parentOf(next)}/${entry.target}`,
      );
    }
    return [];
  }

  /** All entries, parents before what they hold. */
  sorted(): readonly (readonly [string, Entry])[] {
    return [...this.#entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
  }

  /** A new tree with the entries that `keep` accepts. */
  filter(keep: (path: string, entry: Entry) => boolean): FileTree {
    const kept = new FileTree();
    for (const [path, entry] of this.sorted()) {
      if (keep(path, entry)) {
        kept.#addParents(path, this);
        kept.#entries.set(path, entry);
      }
    }
    return kept;
  }

  /** Adds all entries of another tree; what is there already stays. */
  merge(other: FileTree): void {
    for (const [path, entry] of other.sorted()) {
      if (!this.#entries.has(path)) {
        this.#entries.set(path, entry);
      }
    }
  }

  #addParents(path: string, like?: FileTree): void {
    for (let up = parentOf(path); up !== '/'; up = parentOf(up)) {
      if (!this.#entries.has(up)) {
        const known = like?.get(up);
        this.#entries.set(
          up,
          known?.type === 'directory' ? known : { type: 'directory', mode: 0o755 },
        );
      }
    }
  }
}
