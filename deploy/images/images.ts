// Every image of the project: what is in it and how it starts. The list `images` is the only register.
import { init } from '../../shim/shim.generated.ts';
import type { RunConfig } from './archive.ts';
import { addAppFile, addCompiledApp, DEMO_APP_DIRECTORY } from './demo-apps.ts';
import { FileTree } from './file-tree.ts';
import { addNode, addPackages, baseFiles, USER } from './kit.ts';
import { addKoffi, addProgram, APP_DIRECTORY } from './programs.ts';

export interface ImageDefinition {
  /** of the archive, `build/images/<name>.tar`, and on the command line */
  readonly name: string;
  readonly reference: string;
  readonly config: RunConfig;
  /** lowest first */
  readonly layers: () => Promise<readonly FileTree[]>;
}

export const PATH = 'PATH=/usr/bin:/usr/sbin';

/** The lowest layer of whatever Node runs: itself and the libraries it needs. */
export async function nodeLayer(): Promise<FileTree> {
  const layer = baseFiles();
  await addNode(layer);
  await addPackages(layer, {
    roots: ['libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1'],
    keep: () => false,
  });
  return layer;
}

const controller: ImageDefinition = {
  name: 'controller',
  reference: 'diapause.dev/controller:dev',
  config: {
    Entrypoint: ['/usr/bin/node', `${APP_DIRECTORY}/controller.js`],
    Env: [PATH, 'NODE_ENV=production'],
    User: USER,
    WorkingDir: APP_DIRECTORY,
  },
  async layers() {
    const app = new FileTree();
    await addProgram(app, 'controller.js');
    return [await nodeLayer(), app];
  },
};

/** Programs that the agent starts: archives with extended attributes and holes, namespaces, locks. */
const AGENT_TOOLS = ['tar', 'flock', 'nsenter', 'getfattr', 'setfattr'];

const agent: ImageDefinition = {
  name: 'agent',
  reference: 'diapause.dev/agent:dev',
  config: {
    Entrypoint: ['/usr/bin/node', `${APP_DIRECTORY}/agent.js`],
    Env: [PATH, 'NODE_ENV=production'],
    User: '0:0',
    WorkingDir: APP_DIRECTORY,
  },
  async layers() {
    const node = await nodeLayer();
    const app = new FileTree();
    await addProgram(app, 'agent.js');
    await addProgram(app, 'engine.js');
    await addProgram(app, 'rootfs.js');
    await addKoffi(app);
    const tools = new Set(AGENT_TOOLS.map((tool) => `/usr/bin/${tool}`));
    await addPackages(app, {
      roots: ['tar', 'util-linux', 'attr'],
      keep: (path) => tools.has(path),
      below: [node],
    });
    return [node, app];
  },
};

/** PID 1 of placeholders and volume holders: one static file, also where image volumes expect it. */
const placeholderInit: ImageDefinition = {
  name: 'init',
  reference: 'diapause.dev/init:dev',
  config: { Entrypoint: ['/init'], User: USER },
  async layers() {
    const layer = new FileTree();
    const program = Buffer.from(init.bytesBase64, 'base64');
    layer.addFile('/init', program, 0o755);
    layer.addFile('/diapause/init', program, 0o755);
    return [layer];
  },
};

const demoRedis: ImageDefinition = {
  name: 'demo-redis',
  reference: 'demo/redis:dev',
  config: {
    Entrypoint: ['/usr/bin/redis-server'],
    Cmd: ['--bind', '*', '--protected-mode', 'no', '--save', '', '--dir', '/data'],
    Env: [PATH],
    User: USER,
    WorkingDir: '/data',
  },
  async layers() {
    const layer = baseFiles();
    layer.addDirectory('/data', 0o777);
    await addPackages(layer, {
      roots: ['redis-server', 'redis-tools'],
      keep: (path) => /^\/usr\/bin\/redis-(server|check-rdb|cli|benchmark)$/.test(path),
    });
    return [layer];
  },
};

/** Parts of Python's library that no program of ours imports. */
export const PYTHON_EXTRAS =
  /^\/usr\/lib\/python3[^/]*\/(test|tests|idlelib|lib2to3|ensurepip|turtledemo|pydoc_data|distutils|tkinter|unittest)\//;

const demoPython: ImageDefinition = {
  name: 'demo-python',
  reference: 'demo/python:dev',
  config: {
    Entrypoint: ['/usr/bin/python3', `${DEMO_APP_DIRECTORY}/workshop.py`],
    Env: [PATH, 'PYTHONUNBUFFERED=1', 'PYTHONDONTWRITEBYTECODE=1'],
    User: USER,
    WorkingDir: '/work',
  },
  async layers() {
    const layer = baseFiles();
    layer.addDirectory('/work', 0o777);
    await addPackages(layer, {
      roots: ['python3'],
      whole: /^(lib)?python3(\.\d+)?(-minimal|-stdlib)?$/,
      keep: (path) => /^\/usr\/(bin|lib)\/python3/.test(path) && !PYTHON_EXTRAS.test(path),
    });
    for (const file of ['workshop.py', 'client.py', 'check.py', 'loopback.py', 'report.py']) {
      await addAppFile(layer, file);
    }
    return [layer];
  },
};

const demoFutex: ImageDefinition = {
  name: 'demo-futex',
  reference: 'demo/futex:dev',
  config: {
    Entrypoint: [`${DEMO_APP_DIRECTORY}/futex`],
    Env: [PATH],
    User: USER,
    WorkingDir: '/work',
  },
  async layers() {
    const layer = baseFiles();
    layer.addDirectory('/work', 0o777);
    await addCompiledApp(layer, 'futex');
    await addPackages(layer, { roots: ['libc6', 'libgcc-s1'], keep: () => false });
    return [layer];
  },
};

export const images: readonly ImageDefinition[] = [
  controller,
  agent,
  placeholderInit,
  demoRedis,
  demoPython,
  demoFutex,
];
