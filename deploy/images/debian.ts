// Debian packages as material for images: which ones, their files, no installation and no root needed.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { extract } from 'tar-stream';
import { FileTree } from './file-tree.ts';

const run = promisify(execFile);

/** Reading what apt prints about a few hundred packages. */
const LIMITS = { timeout: 300_000, maxBuffer: 64 * 1024 * 1024 };
const APT_OPTIONS = ['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3'];

export interface DebianPackage {
  readonly name: string;
  readonly file: string;
}

interface Architecture {
  readonly name: string;
  /** of the directory that holds its libraries */
  readonly triplet: string;
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: { name: 'amd64', triplet: 'x86_64-linux-gnu' },
  arm64: { name: 'arm64', triplet: 'aarch64-linux-gnu' },
};

/** Debian's names for this machine's CPU. */
export function debianArchitecture(): Architecture {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) {
    throw new Error(`images can be built on x64 and arm64, this is ${process.arch}`);
  }
  return architecture;
}

/**
 * The packages `roots` and those they depend on, as far as `follow` accepts the name. apt's answers are kept
 * in `directory`.
 * @throws Error when this is not a Debian system, or its package lists do not know a name
 */
export async function resolvePackages(
  roots: readonly string[],
  follow: RegExp,
  directory: string,
): Promise<readonly string[]> {
  const printed = await apt(
    'apt-cache',
    ['depends', '--recurse', ...ONLY_DEPENDS, ...roots],
    directory,
  );
  const depends = parseDepends(printed);
  const found = new Set(roots);
  // A set iterates over what is added to it meanwhile.
  for (const name of found) {
    for (const next of depends.get(name) ?? []) {
      if (follow.test(next)) {
        found.add(next);
      }
    }
  }
  return [...found].toSorted();
}

const ONLY_DEPENDS = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
  (kind) => `--no-${kind}`,
);

/** What `apt-cache depends` prints: a package's name, then its dependencies; of alternatives all, but no virtual ones. */
export function parseDepends(printed: string): ReadonlyMap<string, readonly string[]> {
  const depends = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of printed.split('\n')) {
    if (/^[a-z0-9]/.test(line)) {
      current = [];
      depends.set(line, current);
    }
    const name = /^[ |]+(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)/.exec(line)?.[1];
    if (name !== undefined) {
      current.push(name);
    }
  }
  return depends;
}

/** Downloads what `directory` does not hold already, by the checksum of the package lists. */
export async function fetchPackages(
  names: readonly string[],
  directory: string,
): Promise<readonly DebianPackage[]> {
  await mkdir(directory, { recursive: true });
  try {
    return await download(names, directory);
  } catch {
    // Old package lists name versions that the mirrors have dropped.
    await updateLists();
    return download(names, directory);
  }
}

async function download(
  names: readonly string[],
  directory: string,
): Promise<readonly DebianPackage[]> {
  const offers = parseOffers(
    await apt('apt-get', [...APT_OPTIONS, '--print-uris', 'download', ...names], directory),
  );
  const missing: string[] = [];
  for (const offer of offers) {
    if (!(await isIntact(join(directory, offer.file), offer.sha256))) {
      missing.push(offer.name);
    }
  }
  if (missing.length > 0) {
    await run('apt-get', [...APT_OPTIONS, '-qq', 'download', ...missing], {
      ...LIMITS,
      cwd: directory,
    });
  }
  return offers.map(({ name, file }) => ({ name, file: join(directory, file) }));
}

async function updateLists(): Promise<void> {
  await run('apt-get', [...APT_OPTIONS, '-qq', 'update'], LIMITS);
}

interface Offer extends DebianPackage {
  readonly sha256: string;
}

/** Lines of `apt-get --print-uris download`: 'URI' FILE SIZE SHA256:HEX */
export function parseOffers(printed: string): readonly Offer[] {
  const lines = [...printed.matchAll(/^'[^']+' (\S+) \d+ SHA256:([0-9a-f]{64})$/gm)];
  return lines.map(([, file = '', sha256 = '']) => ({
    name: file.slice(0, file.indexOf('_')),
    file,
    sha256,
  }));
}

async function isIntact(file: string, sha256: string): Promise<boolean> {
  try {
    return (
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex') === sha256
    );
  } catch {
    return false;
  }
}

/** The files of a package, with its control file where scanners of images look for it. */
export async function readPackage(file: string): Promise<FileTree> {
  const tree = new FileTree();
  const unpack = extract();
  spawn('dpkg-deb', ['--fsys-tarfile', file], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout.pipe(
    unpack,
  );
  for await (const entry of unpack) {
    const { name, type, mode, linkname } = entry.header;
    const content = await buffer(entry);
    if (type === 'file' || type === 'contiguous-file') {
      tree.addFile(name, content, mode & 0o777);
    } else if (type === 'directory') {
      tree.addDirectory(name, mode & 0o777);
    } else if (type === 'symlink') {
      tree.add(name, { type: 'symlink', target: linkname ?? '' });
    } else if (type === 'link') {
      const original = tree.get(linkname ?? '');
      if (original !== undefined) {
        tree.add(name, original);
      }
    }
  }
  if (tree.sorted().length === 0) {
    throw new Error(`dpkg-deb found nothing in ${file}: remove it and build again`);
  }
  const { stdout } = await run('dpkg-deb', ['--field', file], LIMITS);
  tree.addFile(`/var/lib/dpkg/status.d/${basename(file).split('_')[0]}`, stdout);
  return tree;
}

/**
 * What an apt program says. It takes most of a second each time, so answers are kept until the package lists change.
 */
async function apt(program: string, args: readonly string[], directory: string): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify([program, args, await listsVersion()]));
  const file = join(directory, `.answer-${key.digest('hex').slice(0, 16)}`);
  try {
    return await readFile(file, 'utf8');
  } catch {
    const said = await askApt(program, args);
    await mkdir(directory, { recursive: true });
    await writeFile(file, said);
    return said;
  }
}

async function listsVersion(): Promise<number> {
  try {
    return (await stat('/var/lib/apt/lists')).mtimeMs;
  } catch {
    return 0;
  }
}

/** Runs an apt program; where it fails, once more after the package lists were fetched. */
async function askApt(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args, LIMITS)).stdout;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error(
        `${program} is missing: these images are made of Debian packages. Elsewhere build deploy/images/Dockerfile.* with docker`,
        { cause: error },
      );
    }
    await updateLists();
    return (await run(program, args, LIMITS)).stdout;
  }
}
