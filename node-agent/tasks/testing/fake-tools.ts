// Tools for handlers in tests: the journal, the engine process and the bundle code are real, the node is not.
// Containers are ordinary processes, a volume is a folder, a freezer is a file.
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RootfsWorker } from '../../bundle/rootfs-diff/rootfs-worker.ts';
import { Directory, Lease } from '../../bundle/directory.ts';
import type { ExecResult } from '../../container/cri-messages.ts';
import type { FoundContainer } from '../../container/find-container.ts';
import { ProcessHandle } from '../../container/process-handle.ts';
import { TaskFailure } from '../../task-failure.ts';
import { LocalSpace } from '../../transfer/local-space.ts';
import { EnginePool } from '../engine-pool.ts';
import type { StoreSession } from '../holder.ts';
import type { Tools } from '../task-context.ts';

export interface FakeNode {
  /** node-a unless there are several */
  readonly name?: string;
  /** scratch folder of the test */
  readonly folder: string;
  /** what plays the volume */
  readonly volume: string;
  /** what plays the container's root process */
  readonly victimPid: number;
}

export interface FakeToolsOptions extends Partial<Pick<FoundContainer, 'root' | 'mounts'>> {
  readonly rootfs?: RootfsWorker;
  /** told when a spare engine would be started; there is none in tests */
  readonly onWarm?: () => void;
  /** memory of the container */
  readonly anonymousBytes?: number;
  /** the holder dies when this aborts */
  readonly holderGone?: AbortSignal;
  /** what commands in containers come to; all of them are noted in {@link commandsFile}; default: they succeed */
  readonly exec?: (command: readonly string[], signal: AbortSignal) => Promise<ExecResult>;
}

export const scenarioFile = ({ folder }: FakeNode): string => join(folder, 'scenario.json');
export const commandsFile = ({ folder }: FakeNode): string => join(folder, 'commands');
export const freezerFile = ({ folder }: FakeNode): string => join(folder, 'cgroup.freeze');

export function fakeTools(
  node: FakeNode,
  options: FakeToolsOptions = {},
): Omit<Tools, 'activeTasks'> & Disposable {
  const engine = join(import.meta.dirname, 'fake-engine.ts');
  const engines = new EnginePool([process.execPath, engine, scenarioFile(node)], () => undefined);
  return {
    nodeName: node.name ?? 'node-a',
    version: 'test',
    stateFolder: node.folder,
    nodeRoot: '',
    engines: { take: () => engines.take(), warm: () => options.onWarm?.() },
    podAddress: '127.0.0.1',
    localSpace: new LocalSpace(join(node.folder, 'transfer')),
    rootfs: options.rootfs ?? { run: () => Promise.reject(new Error('no rootfs in this test')) },
    findContainer: ({ name, imageID }) =>
      Promise.resolve(fakeContainer(node, name, imageID, options)),
    exec: async ({ command }, signal) => {
      appendFileSync(commandsFile(node), `${command.join(' ')}\n`);
      return await (options.exec?.(command, signal) ??
        Promise.resolve({ exitCode: command[0] === 'false' ? 1 : 0, stdout: '', stderr: '' }));
    },
    openStore: (_store, signal) => openFolder(node.volume, signal, options.holderGone),
    [Symbol.dispose]: () => engines[Symbol.dispose](),
  };
}

function fakeContainer(
  node: FakeNode,
  name: string,
  imageID: string,
  options: FakeToolsOptions,
): FoundContainer {
  const process = ProcessHandle.open(node.victimPid);
  if (process?.alive !== true) {
    throw new TaskFailure('ContainerNotRunning', 'the victim is gone');
  }
  return {
    name,
    imageID,
    id: { runtime: 'containerd', hex: 'ab'.repeat(32) },
    process,
    runtime: {
      pid: process.pid,
      status: undefined,
      runtimeType: undefined,
      sandboxId: undefined,
      spec: { mounts: [{ type: 'bind', source: '/etc/hosts', destination: '/etc/hosts' }] },
    },
    cgroup: {
      freezerFile: freezerFile(node),
      memoryLimitBytes: undefined,
      anonymousBytes: options.anonymousBytes ?? 1000,
      pidsLimit: undefined,
    },
    mounts: options.mounts ?? [],
    root: options.root ?? { fsType: 'ext4', readOnly: false, layers: undefined },
    innerPid: 1,
    [Symbol.dispose]: () => process[Symbol.dispose](),
  };
}

async function openFolder(
  path: string,
  parent: AbortSignal,
  holderGone: AbortSignal | undefined,
): Promise<StoreSession> {
  const lease = new Lease();
  const root = await Directory.openTrusted(path, lease, 'volume');
  const close = (): Promise<void> => lease.drop(new Error('the session is closed'));
  holderGone?.addEventListener('abort', () => void lease.drop(holderGone.reason as Error));
  const signal = holderGone === undefined ? parent : AbortSignal.any([parent, holderGone]);
  return { root, signal, [Symbol.asyncDispose]: close };
}

/** A freezer that is thawed, as the kernel shows it. */
export function prepareFreezer(node: FakeNode): void {
  writeFileSync(freezerFile(node), '0');
}
