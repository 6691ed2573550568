// Completes a layer: every program in it gets the shared libraries it asks for, and those the ones they ask for.
import { readLinkage } from './elf.ts';
import { canonicalPath, FileTree } from './file-tree.ts';

/** A library that no package at hand provides: the image's list of packages is wrong. */
export class MissingLibraryError extends Error {
  readonly library: string;
  readonly neededBy: string;

  constructor(library: string, neededBy: string) {
    super(
      `${neededBy} needs ${library}, which is in no package of this image: add its package to deploy/images/images.ts`,
    );
    this.name = 'MissingLibraryError';
    this.library = library;
    this.neededBy = neededBy;
  }
}

/** The directories that Debian's dynamic linker searches by itself (ld.so(8)). */
function searchPath(triplet: string): readonly string[] {
  return [`/usr/lib/${triplet}`, '/usr/lib'];
}

/**
 * Adds to `layer` what its programs need from `sources`, unless a layer `below` has it already.
 * @throws MissingLibraryError
 */
export function addLibraries(
  layer: FileTree,
  sources: readonly FileTree[],
  below: readonly FileTree[],
  triplet: string,
): void {
  const open = [...layer.sorted()];
  // Also in a directory that the linker does not search: a program that brings a library has its own way to it.
  const own = new Set(open.map(([path]) => path.slice(path.lastIndexOf('/') + 1)));
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    const [path, entry] = item;
    const linkage = entry.type === 'file' ? readLinkage(entry.data) : undefined;
    if (linkage === undefined) {
      continue;
    }
    const wanted = linkage.libraries
      .filter((name) => !own.has(name))
      .map((name) => searchPath(triplet).map((dir) => `${dir}/${name}`));
    if (linkage.interpreter !== undefined) {
      wanted.push([canonicalPath(linkage.interpreter)]);
    }
    for (const candidates of wanted) {
      if (!isThere(candidates, [layer, ...below])) {
        open.push(...take(candidates, sources, layer, path));
      }
    }
  }
}

function isThere(candidates: readonly string[], trees: readonly FileTree[]): boolean {
  return candidates.some((path) => trees.some((tree) => tree.get(path) !== undefined));
}

/** Copies the first candidate that a source has, with the links that lead to it. */
function take(
  candidates: readonly string[],
  sources: readonly FileTree[],
  layer: FileTree,
  neededBy: string,
): ReturnType<FileTree['sorted']> {
  for (const candidate of candidates) {
    for (const source of sources) {
      const chain = source.chain(candidate);
      if (chain.length > 0) {
        const added = source.filter((path) => chain.includes(path));
        layer.merge(added);
        return added.sorted();
      }
    }
  }
  throw new MissingLibraryError(candidates[0]?.split('/').at(-1) ?? '', neededBy);
}
