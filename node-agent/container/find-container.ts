// Pod -> container -> root process, without ever taking a stranger for it (design K11).
import { readFileSync, readlinkSync } from 'node:fs';
import type { TaskContainer, TaskPod } from '../../crds/node-task.ts';
import { parseStatus } from '../engine/linux/procfs/status.ts';
import { TaskFailure } from '../task-failure.ts';
import { assertOwnCgroup, type CgroupFacts, parseCgroup, readCgroupFacts } from './cgroups.ts';
import { type ContainerId, parseContainerId } from './container-id.ts';
import { type Mount, parseMountinfo, type RootMount, rootMount } from './mounts.ts';
import { ProcessHandle } from './process-handle.ts';
import type { RuntimeClient, RuntimeContainer } from './runtime-client.ts';

export interface FoundContainer extends Disposable {
  readonly name: string;
  readonly id: ContainerId;
  readonly imageID: string;
  readonly process: ProcessHandle;
  readonly runtime: RuntimeContainer;
  readonly cgroup: CgroupFacts;
  readonly mounts: readonly Mount[];
  readonly root: RootMount;
  /** the root process's number inside: 1, unless the pod shares its process namespace */
  readonly innerPid: number;
}

/** How the node looks from here. */
export interface NodeView {
  /** leads to the node's root: `/proc/1/root` for an agent with hostPID */
  readonly nodeRoot: string;
  /** the node's first process, whose mount table tells where control groups are mounted */
  readonly nodeProcess: string;
}

export const HOST_PID_VIEW: NodeView = { nodeRoot: '/proc/1/root', nodeProcess: '/proc/1' };

export interface FindOptions {
  readonly runtime: Pick<RuntimeClient, 'inspect'>;
  readonly view: NodeView;
  readonly signal: AbortSignal;
  /** pods with shareProcessNamespace have the pause process as pid 1 */
  readonly sharesProcessNamespace?: boolean;
}

/**
 * Finds a running container and holds its root process.
 *
 * @throws TaskFailure ContainerMismatch when anything contradicts anything else, ContainerNotFound,
 *   ContainerNotRunning, Unsupported
 */
export async function findContainer(
  wanted: TaskContainer,
  pod: TaskPod,
  options: FindOptions,
): Promise<FoundContainer> {
  const id = parseContainerId(wanted.containerID, wanted.name);
  const runtime = await options.runtime.inspect(id.hex, options.signal);
  assertOfPod(runtime, wanted, pod);
  assertPlainRuntime(runtime, wanted.name);
  const process = ProcessHandle.open(runtime.pid);
  if (process === undefined) {
    const facts = `container ${wanted.name}: its process ${runtime.pid} has ended`;
    throw new TaskFailure('ContainerNotRunning', facts);
  }
  try {
    return { ...examine(process, id.hex, wanted.name, options), ...describe(wanted, id, runtime) };
  } catch (error) {
    process[Symbol.dispose]();
    throw error;
  }
}

function describe(
  wanted: TaskContainer,
  id: ContainerId,
  runtime: RuntimeContainer,
): Pick<FoundContainer, 'name' | 'id' | 'imageID' | 'runtime'> {
  return { name: wanted.name, id, imageID: wanted.imageID, runtime };
}

type Examined = Omit<FoundContainer, 'name' | 'id' | 'imageID' | 'runtime'>;

function examine(
  process: ProcessHandle,
  containerId: string,
  name: string,
  { view, sharesProcessNamespace = false }: FindOptions,
): Examined {
  process.assertAlive(`container ${name}`);
  const memberships = parseCgroup(process.read('cgroup'));
  assertOwnCgroup(memberships, containerId);
  const innerPid = innermostPid(process, name, sharesProcessNamespace);
  const mounts = parseMountinfo(process.read('mountinfo'));
  const root = rootMount(mounts);
  if (root === undefined) {
    throw new TaskFailure('ContainerMismatch', `container ${name} has no root mount`);
  }
  const cgroup = readCgroupFacts({
    memberships,
    mounts: parseMountinfo(readFileSync(`${view.nodeProcess}/mountinfo`, 'latin1')),
    nodeRoot: view.nodeRoot,
    containerId,
    pid: process.pid,
  });
  // Everything above was read through the handle; if it ended meanwhile the facts may be half.
  process.assertAlive(`container ${name}`);
  return {
    process,
    mounts,
    root,
    cgroup,
    innerPid,
    [Symbol.dispose]: () => process[Symbol.dispose](),
  };
}

/** The last of NSpid: nodes themselves may be nested, so "the second" would be wrong (cluster/PROOFS.md 4). */
function innermostPid(process: ProcessHandle, name: string, shared: boolean): number {
  if (process.readLink('ns/pid') === readlinkSync('/proc/self/ns/pid')) {
    const facts = `container ${name} lives in the node's pid namespace (hostPID)`;
    throw new TaskFailure('Unsupported', facts);
  }
  const innerPid = parseStatus(process.read('status')).nsPids.at(-1) ?? 0;
  if (innerPid !== 1 && !shared) {
    const facts = `container ${name}: process ${process.pid} is ${innerPid} inside, not its first one`;
    throw new TaskFailure('ContainerMismatch', facts);
  }
  return innerPid;
}

const POD_LABELS = {
  uid: 'io.kubernetes.pod.uid',
  namespace: 'io.kubernetes.pod.namespace',
  name: 'io.kubernetes.pod.name',
} as const;
const CONTAINER_NAME_LABEL = 'io.kubernetes.container.name';

function assertOfPod({ status }: RuntimeContainer, wanted: TaskContainer, pod: TaskPod): void {
  const labels = status?.labels;
  if (labels === undefined) {
    return;
  }
  const expected: readonly (readonly [string, string])[] = [
    [POD_LABELS.uid, pod.uid],
    [POD_LABELS.namespace, pod.namespace],
    [POD_LABELS.name, pod.name],
    [CONTAINER_NAME_LABEL, wanted.name],
  ];
  for (const [label, value] of expected) {
    const actual = labels[label];
    if (actual !== undefined && actual !== value) {
      const facts = `container ${wanted.containerID} has ${label}=${actual}, not ${value}`;
      throw new TaskFailure('ContainerMismatch', facts);
    }
  }
}

/** Runtimes whose containers are ordinary processes of this kernel. */
const PLAIN_RUNTIMES = /^(io\.containerd\.(runc|crun)\.|runc$|crun$)|^oci$/;

function assertPlainRuntime({ runtimeType }: RuntimeContainer, name: string): void {
  if (runtimeType !== undefined && runtimeType !== '' && !PLAIN_RUNTIMES.test(runtimeType)) {
    const facts = `container ${name} runs under ${runtimeType}, which keeps its processes away from this kernel`;
    throw new TaskFailure('Unsupported', facts);
  }
}
