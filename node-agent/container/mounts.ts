// Mounts as a process sees them: /proc/PID/mountinfo (proc_pid_mountinfo(5)).

export interface Mount {
  readonly id: number;
  /** `major:minor` */
  readonly device: string;
  /** path inside the mounted file system */
  readonly root: string;
  readonly mountPoint: string;
  /** of this mount: `ro`, `nosuid` ... */
  readonly options: readonly string[];
  readonly fsType: string;
  readonly source: string;
  /** of the file system: for overlay the layers */
  readonly superOptions: readonly string[];
}

/** Mounts in the order of the file, which is that of mounting: a later one on the same point hides an earlier. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ', 2);
    const fields = left?.split(' ') ?? [];
    const [fsType, source, superOptions] = right?.split(' ') ?? [];
    if (fields.length < 6 || fsType === undefined) {
      return [];
    }
    return [
      {
        id: Number(fields[0]),
        device: fields[2] as string,
        root: unescape(fields[3] as string),
        mountPoint: unescape(fields[4] as string),
        options: (fields[5] as string).split(','),
        fsType,
        source: unescape(source ?? ''),
        superOptions: splitOptions(unescape(superOptions ?? '')),
      },
    ];
  });
}

/** The kernel writes space, tab, newline and backslash as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Commas inside an overlay path are written `\,`. */
function splitOptions(text: string): string[] {
  return text.split(/(?<!\\),/).map((option) => option.replaceAll('\\,', ','));
}

/** Layers of a container's root, as paths of the node's mount namespace. */
export interface OverlayLayers {
  readonly upper: string;
  /** topmost first */
  readonly lowers: readonly string[];
}

export interface RootMount {
  readonly fsType: string;
  readonly readOnly: boolean;
  /** undefined: not an overlay, or one without a writable layer */
  readonly layers: OverlayLayers | undefined;
}

export function rootMount(mounts: readonly Mount[]): RootMount | undefined {
  const root = mounts.findLast((mount) => mount.mountPoint === '/');
  if (root === undefined) {
    return undefined;
  }
  return {
    fsType: root.fsType,
    readOnly: root.options.includes('ro'),
    layers: root.fsType === 'overlay' ? overlayLayers(root.superOptions) : undefined,
  };
}

/** From `lowerdir=a:b,upperdir=c` or, since Linux 6.5, `lowerdir+=a,lowerdir+=b`. */
export function overlayLayers(options: readonly string[]): OverlayLayers | undefined {
  const values = (key: string): string[] =>
    options.filter((o) => o.startsWith(`${key}=`)).map((o) => o.slice(key.length + 1));
  const upper = values('upperdir')[0];
  if (upper === undefined || !upper.startsWith('/')) {
    return undefined;
  }
  const joined = values('lowerdir').flatMap((value) => value.split(/(?<!\\)::?/));
  const appended = [...values('lowerdir+'), ...values('datadir+')];
  return {
    upper,
    lowers: [...joined, ...appended]
      .filter((path) => path !== '')
      .map((path) => absoluteLayer(path.replaceAll('\\:', ':'), upper)),
  };
}

/**
 * Runtimes with many layers mount with relative paths. containerd and CRI-O keep all layers of a snapshotter as
 * `<base>/<id>/<fs or diff>` and mount from `<base>`.
 */
function absoluteLayer(path: string, upper: string): string {
  return path.startsWith('/') ? path : `${upper.split('/').slice(0, -2).join('/')}/${path}`;
}

/** Mount points other than the root, each once, sorted. */
export function mountPoints(mounts: readonly Mount[]): string[] {
  const points = new Set(mounts.map((mount) => mount.mountPoint));
  points.delete('/');
  return [...points].sort();
}

/** Folders that every runtime fills by itself; nothing below them belongs to the application. */
export const RUNTIME_FOLDERS = ['/proc', '/sys', '/dev'] as const;
/** Files that the kubelet writes anew for each pod (kubernetes.md 5.3). */
export const POD_FILES = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'] as const;

export const isBelow = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(`${folder}/`);

/** Mount points that the application brought along: what a target pod must have, too. */
export function applicationMounts(mounts: readonly Mount[], own: readonly string[]): string[] {
  const foreign = [...RUNTIME_FOLDERS, ...POD_FILES, ...own];
  return mountPoints(mounts).filter((point) => !foreign.some((folder) => isBelow(point, folder)));
}
