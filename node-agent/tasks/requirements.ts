// Can a saved pod run in this placeholder? Compared before anything is changed. Pure but for the facts of this node.
import { arch, release } from 'node:os';
import type { TaskErrorCode } from '../../crds/conditions.ts';
import type { Report } from '../../crds/meta.ts';
import type { Manifest, ManifestContainer } from '../bundle/manifest.ts';
import { cpuFlags } from '../engine/linux/procfs/cpuinfo.ts';
import { TaskFailure } from '../task-failure.ts';
import { cpuFeatures } from './cpu-features.ts';
import { type NodeClocks, readNodeClocks } from './node-clocks.ts';

export interface NodeFacts extends NodeClocks {
  readonly arch: string;
  readonly kernelRelease: string;
  readonly cpuFlags: ReadonlySet<string>;
}

export interface TargetContainer {
  readonly name: string;
  readonly imageID: string;
  readonly memoryLimitBytes: number | undefined;
  readonly pidsLimit: number | undefined;
  readonly mountPoints: ReadonlySet<string>;
}

export interface Shortcoming {
  readonly code: TaskErrorCode;
  readonly container: string;
  readonly message: string;
}

/** Everything that stands in the way, the most fundamental first. */
export function shortcomings(
  manifest: Manifest,
  node: NodeFacts,
  targets: readonly TargetContainer[],
): Shortcoming[] {
  return [
    ...shortcomingsOfNode(manifest, node),
    ...manifest.containers.flatMap((saved) => {
      const target = targets.find(({ name }) => name === saved.name);
      return target === undefined ? [missing(saved.name)] : shortcomingsOf(saved, target);
    }),
  ];
}

/** @throws TaskFailure for the first shortcoming, with all of them in its report */
export function assertNoShortcomings(found: readonly Shortcoming[]): void {
  const first = found[0];
  if (first === undefined) {
    return;
  }
  const report: Report[] = found.map(({ code, container, message }) => ({
    severity: 'refusal',
    code,
    container,
    pid: 0,
    message,
  }));
  throw new TaskFailure(first.code, first.message, { report });
}

/** The engine uses features of this and later kernels. */
const OLDEST_KERNEL = [5, 10] as const;

/**
 * Connections to others are in the pod that was saved, and go on where that is rewound.
 *
 * @throws TaskFailure that names the first
 */
export function assertConnectionsStay({ requirements }: Manifest, inPlace: boolean): void {
  const [first, ...others] = requirements.connections ?? [];
  if (first === undefined || inPlace) {
    return;
  }
  const all = others.length > 0 ? ` (and ${others.length} more)` : '';
  const facts = `connection ${first}${all} leads out of the saved pod and goes on in that pod only`;
  throw new TaskFailure('ConnectionsStay', facts);
}

const CLOCKS = [
  ['monotonic', 'monotonicNanos'],
  ['boot', 'boottimeNanos'],
] as const;

function shortcomingsOfNode({ requirements }: Manifest, node: NodeFacts): Shortcoming[] {
  const found: Shortcoming[] = [];
  const add = (code: TaskErrorCode, message: string): unknown =>
    found.push({ code, container: '', message });
  if (requirements.arch !== node.arch) {
    add('ArchMismatch', `the bundle was made on ${requirements.arch}, this node is ${node.arch}`);
  }
  const [major, minor] = versionOf(node.kernelRelease);
  if (major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1])) {
    add(
      'KernelTooOld',
      `this node runs Linux ${node.kernelRelease}; ${OLDEST_KERNEL.join('.')} is the oldest that works`,
    );
  }
  const lacking = cpuFeatures(requirements.cpuFlags).filter((one) => !node.cpuFlags.has(one));
  if (lacking.length > 0) {
    add('CpuFeatureMissing', `this node's CPU lacks ${lacking.slice(0, 10).join(', ')}`);
  }
  for (const [name, field] of CLOCKS) {
    // Older bundles do not know the boot clock.
    const earlier = BigInt(requirements[field] ?? 0) - node[field];
    if (earlier > 0n) {
      const seconds = earlier / 1_000_000_000n + 1n;
      const facts = `this node's ${name} clock is ${seconds} s earlier than the source's was`;
      add('ClockEarlier', facts);
    }
  }
  return found;
}

function shortcomingsOf(saved: ManifestContainer, target: TargetContainer): Shortcoming[] {
  const found: Shortcoming[] = [];
  const { name } = saved;
  const add = (code: TaskErrorCode, message: string): unknown =>
    found.push({ code, container: name, message: `container ${name}: ${message}` });
  const digests = [digestOf(saved.imageID), digestOf(target.imageID)] as const;
  if (digests[0] !== undefined && digests[1] !== undefined && digests[0] !== digests[1]) {
    add('ImageMismatch', `its image is ${digests[1]}, the saved one was ${digests[0]}`);
  }
  const lacking = saved.mounts.filter((point) => !target.mountPoints.has(point));
  if (lacking.length > 0) {
    add('MountMismatch', `it has nothing mounted at ${lacking.slice(0, 10).join(', ')}`);
  }
  const { memoryLimitBytes, pidsLimit } = target;
  if (memoryLimitBytes !== undefined && memoryLimitBytes < saved.memoryBytes) {
    add(
      'LimitTooSmall',
      `its memory limit is ${memoryLimitBytes} bytes, the processes need ${saved.memoryBytes}`,
    );
  }
  if (pidsLimit !== undefined && pidsLimit < saved.threads) {
    add(
      'LimitTooSmall',
      `its pid limit is ${pidsLimit}, the processes have ${saved.threads} threads`,
    );
  }
  return found;
}

function missing(container: string): Shortcoming {
  const message = `the new pod has no container ${container}, which the bundle holds`;
  return { code: 'ContainerNotFound', container, message };
}

/** Image ids are written differently by runtimes and registries; the digest at their end is what counts. */
export function digestOf(imageID: string): string | undefined {
  return /sha256:[0-9a-f]{64}$/.exec(imageID)?.[0];
}

function versionOf(kernelRelease: string): readonly [major: number, minor: number] {
  const match = /^(\d+)\.(\d+)/.exec(kernelRelease);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

export function factsOfThisNode(): NodeFacts {
  return {
    arch: arch(),
    kernelRelease: release(),
    cpuFlags: new Set(cpuFlags()),
    ...readNodeClocks(),
  };
}
