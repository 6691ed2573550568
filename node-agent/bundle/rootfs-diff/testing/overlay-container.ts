// A process whose mount namespace has an overlay as its root, like a container's: for tests. Needs root.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { init } from '../../../../shim/shim.generated.ts';

const ATTEMPTS = 300;

export interface OverlayContainer extends AsyncDisposable {
  readonly pid: number;
  /** `/proc/PID/root` */
  readonly root: string;
  readonly upper: string;
  readonly lowers: readonly string[];
  readonly mountNamespace: string;
}

/** Why no such container can be made here, or undefined. */
export function whyNoOverlay(): string | undefined {
  if (process.getuid?.() !== 0) {
    return 'mounting an overlay needs root';
  }
  return readFileSync('/proc/filesystems', 'latin1').includes('\toverlay\n')
    ? undefined
    : 'this kernel knows no overlay file system';
}

// The old root stays mounted at /old: a mount of the pod, as volumes are.
const SCRIPT = `
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LOWERS,upperdir=$UPPER,workdir=$WORK" "$MERGED"
[ "$VOLUME" = "" ] || mount --bind "$VOLUME" "$MERGED$VOLUME_AT"
[ "$READONLY" = "" ] || mount -o remount,bind,ro "$MERGED"
cd "$MERGED"
pivot_root . old
exec ./init
`;

export interface ContainerOptions {
  readonly readOnly?: boolean;
  /** a folder of the machine, mounted at this absolute path */
  readonly volume?: { readonly from: string; readonly at: string };
}

/**
 * Starts a container on the given lower layers (topmost first) with an empty writable layer of its own.
 *
 * @param folder existing, empty; the container's own files go there
 */
export async function startOverlayContainer(
  folder: string,
  lowers: readonly string[],
  { readOnly = false, volume }: ContainerOptions = {},
): Promise<OverlayContainer> {
  const path = (name: string): string => `${folder}/${name}`;
  ['upper', 'work', 'merged', 'base', 'base/old'].forEach((name) => mkdirSync(path(name)));
  writeFileSync(path('base/init'), Buffer.from(init.bytesBase64, 'base64'), { mode: 0o755 });
  const layers = [...lowers, path('base')];
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', SCRIPT],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        LOWERS: layers.join(':'),
        UPPER: path('upper'),
        WORK: path('work'),
        MERGED: path('merged'),
        VOLUME: volume?.from ?? '',
        VOLUME_AT: volume?.at ?? '',
        READONLY: readOnly ? 'yes' : '',
      },
    },
  );
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child, 'spawn');
  const pid = await untilInit(child.pid ?? 0, () => stderr);
  return {
    pid,
    root: `/proc/${pid}/root`,
    upper: path('upper'),
    lowers: layers,
    mountNamespace: `/proc/${pid}/ns/mnt`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (let attempt = 0; attempt < ATTEMPTS && existsSync(`/proc/${pid}/root/init`); attempt++) {
        await sleep(10);
      }
    },
  };
}

async function untilInit(parent: number, stderr: () => string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const children = spawnSync('cat', [`/proc/${parent}/task/${parent}/children`]).stdout;
    const pid = Number(children.toString().trim().split(' ')[0] ?? 0);
    if (pid > 1 && executable(pid) === '/init') {
      return pid;
    }
    await sleep(10);
  }
  throw new Error(`the overlay container did not start: ${stderr()}`);
}

function executable(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return '';
  }
}
