// What image definitions are put together from: base files, Debian packages, Node, our bundles.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { debianArchitecture, fetchPackages, readPackage, resolvePackages } from './debian.ts';
import { FileTree } from './file-tree.ts';
import { addLibraries } from './libraries.ts';

const run = promisify(execFile);

/** Nobody's and our user in every image; numeric in configs, so that `runAsNonRoot` can be checked. */
export const USER = '65532:65532';

/** Libraries of any package on the way to a root package are candidates, but only those needed are taken. */
const LIBRARIES = /^z?lib/;

/** Documentation, translations, start scripts for init systems: no use in a container. */
const USELESS =
  /^\/(usr\/share\/(man|locale|lintian|bash-completion|zsh|info|pixmaps|applications)|etc\/(init\.d|default|logrotate\.d|cron\.[a-z]+|ufw)|usr\/lib\/systemd|usr\/share\/doc\/(?!.*\/copyright$).*)(\/|$)/;

export interface PackageChoice {
  /** packages the image is about */
  readonly roots: readonly string[];
  /** further packages whose files are all wanted, not only needed libraries */
  readonly whole?: RegExp;
  /** packages that are not even looked into, though others depend on them */
  readonly without?: RegExp;
  /** which files of those packages */
  readonly keep?: (path: string) => boolean;
  /** layers below this one: what they hold is not repeated */
  readonly below?: readonly FileTree[];
}

/** Files every image starts from: merged /usr, users, places to write. */
export function baseFiles(): FileTree {
  const tree = new FileTree();
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    tree.addDirectory(`/usr/${name}`);
    tree.addRootLink(name, `usr/${name}`);
  }
  tree.addDirectory('/tmp', 0o1777);
  tree.addDirectory('/var/tmp', 0o1777);
  tree.addDirectory('/root', 0o700);
  tree.addFile(
    '/etc/passwd',
    'root:x:0:0:root:/root:/bin/false\nnonroot:x:65532:65532:nonroot:/tmp:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
  );
  tree.addFile('/etc/group', 'root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\n');
  tree.addFile('/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n');
  return tree;
}

/** Takes files from Debian packages and completes `layer` with the libraries that its programs need. */
export async function addPackages(layer: FileTree, choice: PackageChoice): Promise<void> {
  const { roots, whole, without, keep = () => true, below = [] } = choice;
  const follow =
    whole === undefined ? LIBRARIES : new RegExp(`${LIBRARIES.source}|${whole.source}`);
  const cache = join(cacheDirectory(), 'debs');
  const found = await resolvePackages(roots, follow, cache);
  const wanted = found.filter((name) => without?.test(name) !== true);
  const packages = await fetchPackages(wanted, cache);
  const sources = new Map<string, FileTree>();
  for (const { name, file } of packages) {
    const content = (await readPackage(file)).filter((path) => !USELESS.test(path));
    sources.set(name, content);
    if (roots.includes(name) || whole?.test(name) === true) {
      layer.merge(
        content.filter(
          (path, entry) => entry.type !== 'directory' && (isRecord(path) || keep(path)),
        ),
      );
    }
  }
  addLibraries(layer, [...sources.values()], below, debianArchitecture().triplet);
  addRecords(layer, sources);
}

function isRecord(path: string): boolean {
  return path.startsWith('/var/lib/dpkg/') || path.startsWith('/usr/share/doc/');
}

/** Licence and control file of every package that something was taken from. */
function addRecords(layer: FileTree, sources: ReadonlyMap<string, FileTree>): void {
  for (const content of sources.values()) {
    const isUsed = content
      .sorted()
      .some(
        ([path, entry]) => entry.type === 'file' && !isRecord(path) && layer.get(path) === entry,
      );
    if (isUsed) {
      layer.merge(content.filter((path, entry) => entry.type === 'file' && isRecord(path)));
    }
  }
}

/** The Node that package.json names, without its symbol table (a fifth of its size) where binutils are here. */
export async function addNode(layer: FileTree): Promise<void> {
  const original = join(repository(), 'node_modules/node/bin/node');
  const scratch = await mkdtemp(join(tmpdir(), 'diapause-image-'));
  try {
    const stripped = join(scratch, 'node');
    await run('strip', ['-o', stripped, original]);
    layer.addFile('/usr/bin/node', await readFile(stripped), 0o755);
  } catch {
    layer.addFile('/usr/bin/node', await readFile(original), 0o755);
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** The checkout this file is in. */
export function repository(): string {
  return join(import.meta.dirname, '../..');
}

export function cacheDirectory(): string {
  // An empty XDG_CACHE_HOME counts as unset (XDG base directory specification).
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'diapause');
}
