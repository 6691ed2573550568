// Images of the servers that are saved under load, from Debian packages; what counts lies in test/victims.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { FileTree } from '../../../deploy/images/file-tree.ts';
import {
  type ImageDefinition,
  nodeLayer,
  PATH,
  PYTHON_EXTRAS,
} from '../../../deploy/images/images.ts';
import { addPackages, baseFiles, type PackageChoice, USER } from '../../../deploy/images/kit.ts';
import { CHECKOUT } from './cluster.ts';

const run = promisify(execFile);
const BUILD_MILLIS = 120_000;

/** Who starts as a script, or is started by one. */
const SHELL = /^\/usr\/bin\/(dash|cat|mkdir|sleep|sed|basename|dirname|readlink)$/;
const SHELL_PACKAGES = ['dash', 'coreutils', 'sed'];

/** What test/victims has for it, as `/app/NAME`. */
async function addVictims(layer: FileTree, ...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const content = await readFile(join(CHECKOUT, 'test/victims', path));
    layer.addFile(`/app/${basename(path)}`, content);
  }
}

/** Compiled here, without any library: `go build` of test/victims/PATH.go. */
async function addGo(layer: FileTree, path: string, name: string): Promise<void> {
  await compiled(layer, name, async (program) => {
    const args = ['build', '-ldflags=-s -w', '-o', program, join(CHECKOUT, 'test/victims', path)];
    await run('go', args, { timeout: BUILD_MILLIS, env: { ...process.env, CGO_ENABLED: '0' } });
  });
}

export async function addOpenMp(layer: FileTree, path: string, name: string): Promise<void> {
  await compiled(layer, name, async (program) => {
    const source = join(CHECKOUT, 'test/victims', path);
    await run('gcc', ['-O1', '-s', '-fopenmp', '-o', program, source], { timeout: BUILD_MILLIS });
  });
}

async function compiled(
  layer: FileTree,
  name: string,
  compile: (program: string) => Promise<void>,
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'diapause-e2e-'));
  try {
    const program = join(scratch, name);
    await compile(program);
    layer.addFile(`/app/${name}`, await readFile(program), 0o755);
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** Packages, a place to write, and programs of ours on top. */
function image(
  name: string,
  packages: PackageChoice,
  addOurs: (layer: FileTree) => Promise<void> = async () => {},
): ImageDefinition {
  return {
    name: `e2e-${name}`,
    reference: `e2e/${name}:1`,
    config: { Env: [PATH, 'HOME=/tmp'], User: USER, WorkingDir: '/tmp' },
    async layers() {
      const layer = baseFiles();
      layer.addDirectory('/work', 0o777);
      await addOurs(layer);
      await addPackages(layer, packages);
      if (layer.get('/usr/bin/dash') !== undefined) {
        layer.add('/usr/bin/sh', { type: 'symlink', target: 'dash' });
      }
      return [layer];
    },
  };
}

const PYTHON = /^(lib)?python3(\.\d+)?(-minimal|-stdlib)?$/;

const gunicorn = image(
  'gunicorn',
  {
    roots: ['gunicorn', 'python3'],
    whole: new RegExp(`${PYTHON.source}|^python3-(gunicorn|pkg-resources|setuptools)$`),
    keep: (path) =>
      /^\/usr\/(bin\/(python3|gunicorn)|lib\/python3)/.test(path) && !PYTHON_EXTRAS.test(path),
  },
  (layer) => addVictims(layer, 'servers/counting.py', 'programs/counter.py'),
);

/** On the very layer that the operator's own images have. */
const node: ImageDefinition = {
  ...image('node', { roots: [] }),
  async layers() {
    const app = new FileTree();
    await addVictims(app, 'servers/counting.cjs', 'programs/counter.cjs');
    return [await nodeLayer(), app];
  },
};

const go = image('go', { roots: ['libc6'], keep: () => false }, async (layer) => {
  await addGo(layer, 'servers/counting.go', 'counting');
  await addGo(layer, 'programs/counter.go', 'counter');
});

/** What a server without windows, debuggers and compilers does not load. */
const JVM_EXTRAS =
  /\/(classes_nocoops\.jsa|lib(awt|mlib_image|jsound|fontmanager|lcms|javajpeg|jdwp|saproc)[^/]*\.so)$/;

const jvm = image(
  'jvm',
  {
    roots: ['default-jre-headless'],
    whole: /^openjdk-\d+-jre-headless$/,
    keep: (path) => /^\/(usr\/lib\/jvm|etc\/java)/.test(path) && !JVM_EXTRAS.test(path),
  },
  (layer) => addVictims(layer, 'servers/Counting.java', 'programs/Counter.java'),
);

const memcached = image('memcached', {
  roots: ['memcached'],
  keep: (path) => path === '/usr/bin/memcached',
});

const nginx = image('nginx', {
  roots: ['nginx', ...SHELL_PACKAGES],
  keep: (path) => SHELL.test(path) || path === '/usr/sbin/nginx',
});

const postgresql = image('postgresql', {
  roots: ['postgresql', ...SHELL_PACKAGES],
  whole: /^postgresql(-client)?-\d+$/,
  // Large, and only for queries that are worth compiling.
  without: /^libllvm/,
  keep: (path) =>
    SHELL.test(path) ||
    (/^\/usr\/(lib|share)\/postgresql\//.test(path) && !/llvmjit|bitcode|\.mo$/.test(path)),
});

const mariadb = image('mariadb', {
  roots: ['mariadb-server-core', 'mariadb-client-core', ...SHELL_PACKAGES],
  keep: (path) =>
    SHELL.test(path) ||
    /^\/usr\/(s?bin\/mariadbd?$|share\/mysql\/(english|charsets|mysql_system_tables))/.test(path),
});

/** Of the languages what these small programs use. */
const LANGUAGES =
  /^\/usr\/(bin\/(ruby|perl)|lib\/erlang\/|lib\/ruby\/[\d.]+\/|lib\/[^/]+\/(ruby\/|perl-base\/|perl\/[\d.]+(\/(auto\/)?Time\/|$)))/;

const scripts = image(
  'scripts',
  {
    roots: ['ruby', 'perl', 'perl-base', 'erlang-base', ...SHELL_PACKAGES],
    whole: /^((lib)?ruby\d[\d.]*|libperl[\d.]+)$/,
    keep: (path) => SHELL.test(path) || LANGUAGES.test(path),
  },
  (layer) =>
    addVictims(layer, 'programs/counter.rb', 'programs/counter.pl', 'programs/counter.erl'),
);

const openmp = image(
  'openmp',
  { roots: ['libc6', 'libgomp1'], keep: () => false },
  async (layer) => {
    await addOpenMp(layer, 'programs/counter-openmp.c', 'counter-openmp');
  },
);

export const SERVER_IMAGES = { gunicorn, node, go, jvm, memcached, nginx, postgresql, mariadb };
export const PROGRAM_IMAGES = { gunicorn, node, go, jvm, scripts, openmp };
