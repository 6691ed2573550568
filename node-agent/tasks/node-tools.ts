// The tools of handlers on a real node: containers through its runtime, volumes through holders.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskStore } from '../../crds/node-task.ts';
import type { RootfsWorker } from '../bundle/rootfs-diff/rootfs-worker.ts';
import { findContainer, HOST_PID_VIEW } from '../container/find-container.ts';
import type { RuntimeClient } from '../container/runtime-client.ts';
import { TaskFailure } from '../task-failure.ts';
import { LocalSpace } from '../transfer/local-space.ts';
import type { EnginePool } from './engine-pool.ts';
import { openHolder, type StoreSession } from './holder.ts';
import type { Tools } from './task-context.ts';

export interface NodeToolsSettings {
  readonly nodeName: string;
  readonly version: string;
  readonly stateFolder: string;
  readonly flockProgram: string;
  readonly podAddress: string;
}

export interface NodeParts {
  readonly engines: EnginePool;
  readonly runtime: RuntimeClient;
  readonly rootfs: RootfsWorker;
}

export function nodeTools(
  settings: NodeToolsSettings,
  { engines, runtime, rootfs }: NodeParts,
): Omit<Tools, 'activeTasks'> {
  const { nodeName, version, stateFolder, flockProgram, podAddress } = settings;
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  return {
    nodeName,
    version,
    stateFolder,
    nodeRoot: HOST_PID_VIEW.nodeRoot,
    rootfs,
    podAddress,
    localSpace: new LocalSpace(join(stateFolder, 'transfer')),
    engines,
    findContainer: ({ ...wanted }, { pod, ...options }) =>
      findContainer(wanted, pod, { ...options, runtime, view: HOST_PID_VIEW }),
    exec: (request, signal) => runtime.exec(request, signal),
    openStore: (store, signal) => openStore(store, { runtime, flockProgram, signal }),
  };
}

interface OpenStoreOptions {
  readonly runtime: RuntimeClient;
  readonly flockProgram: string;
  readonly signal: AbortSignal;
}

async function openStore(store: TaskStore, options: OpenStoreOptions): Promise<StoreSession> {
  const { runtime, flockProgram, signal } = options;
  const wanted = { name: 'holder', containerID: store.holderContainerID, imageID: '' };
  const found = await findContainer(wanted, store.holder, {
    runtime,
    view: HOST_PID_VIEW,
    signal,
  }).catch((error: unknown) => {
    throw asHolderLost(error);
  });
  return await openHolder(store, { flockProgram, process: found.process, signal });
}

/** A holder that is not there is replaced by the controller. */
function asHolderLost(error: unknown): unknown {
  const gone = ['ContainerNotFound', 'ContainerNotRunning'];
  return error instanceof TaskFailure && gone.includes(error.code)
    ? new TaskFailure('HolderLost', `volume holder: ${error.message}`, { retryable: true })
    : error;
}
