// The booted cluster of this checkout, as tests reach it: kubectl where a user would type it, the API for looking.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Checkpoint } from '../../../crds/checkpoint.ts';
import type { CheckpointStore } from '../../../crds/checkpoint-store.ts';
import type { NodeTask } from '../../../crds/node-task.ts';
import type { Restore } from '../../../crds/restore.ts';
import { Client } from '../../../kube/client.ts';
import { loadKubeConfig } from '../../../kube/kubeconfig.ts';
import { Kubectl } from '../../../deploy/demo/kubectl.ts';
import type { Pod } from '../../../src/cluster/pod.ts';
import { type PersistentVolumeClaim, RESOURCE_TYPES } from '../../../src/cluster/types.ts';

export const CHECKOUT = join(import.meta.dirname, '../../..');
export const CLUSTER_FOLDER = join(CHECKOUT, '.cluster');
const SCRIPT_MILLIS = 120_000;
const run = promisify(execFile);

export type NodeName = 'node-a' | 'node-b';

export interface Cluster {
  readonly client: Client;
  readonly checkpoints: ReturnType<typeof resourcesOf>['checkpoints'];
  readonly restores: ReturnType<typeof resourcesOf>['restores'];
  readonly stores: ReturnType<typeof resourcesOf>['stores'];
  readonly tasks: ReturnType<typeof resourcesOf>['tasks'];
  readonly pods: ReturnType<typeof resourcesOf>['pods'];
  readonly claims: ReturnType<typeof resourcesOf>['claims'];
  kubectl(namespace: string): Kubectl;
}

function resourcesOf(client: Client) {
  return {
    checkpoints: client.resource<Checkpoint>(RESOURCE_TYPES.checkpoints),
    restores: client.resource<Restore>(RESOURCE_TYPES.restores),
    stores: client.resource<CheckpointStore>(RESOURCE_TYPES.checkpointStores),
    tasks: client.resource<NodeTask>(RESOURCE_TYPES.nodeTasks),
    pods: client.resource<Pod>(RESOURCE_TYPES.pods),
    claims: client.resource<PersistentVolumeClaim>(RESOURCE_TYPES.claims),
  };
}

export function connect(): Cluster {
  const kubeconfig = join(CLUSTER_FOLDER, 'kubeconfig');
  const client = new Client({ config: loadKubeConfig({ path: kubeconfig }), fieldManager: 'e2e' });
  const program = join(CLUSTER_FOLDER, 'bin/kubectl');
  return {
    client,
    ...resourcesOf(client),
    kubectl: (namespace) => new Kubectl(program, kubeconfig, namespace),
  };
}

/** `cluster.sh COMMAND ..` @returns what it printed */
export async function clusterScript(...args: readonly string[]): Promise<string> {
  const script = join(CHECKOUT, 'deploy/cluster/cluster.sh');
  const { stdout } = await run(script, args, { timeout: SCRIPT_MILLIS });
  return stdout;
}
