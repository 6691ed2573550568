// The API server as somebody sees it who has nothing but a token.
import { join } from 'node:path';
import { OPERATOR_NAMESPACE } from '../../../crds/names.ts';
import { Client } from '../../../kube/client.ts';
import { loadKubeConfig } from '../../../kube/kubeconfig.ts';
import { CLUSTER_FOLDER, type Cluster } from './cluster.ts';

/** @param token of whomever */
export function thiefWith(token: string): Client {
  const path = join(CLUSTER_FOLDER, 'kubeconfig');
  const cluster = loadKubeConfig({ path }).getCurrentCluster();
  const config = loadKubeConfig({ path });
  // Nothing of the admin's is left but the address.
  config.loadFromClusterAndUser(cluster!, { name: 'thief', token });
  return new Client({ config, fieldManager: 'thief' });
}

/** A token of the agents' account, of the pod `agent` as its kubelet would get it; of nobody in particular without. */
export async function agentToken(cluster: Cluster, agent?: string): Promise<string> {
  const bound =
    agent === undefined ? [] : ['--bound-object-kind=Pod', `--bound-object-name=${agent}`];
  const answer = await cluster
    .kubectl(OPERATOR_NAMESPACE)
    .run(['create', 'token', 'diapause-agent', ...bound]);
  return answer.trim();
}

/** `allowed`, or what the API server said. */
export async function told(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'allowed',
    (error: unknown) => (error as Error).message,
  );
}
