// A namespace in long use: pods, each with a schedule and a history of Checkpoints, some not looked at yet.
import type { TypedObject } from '../../../crds/meta.ts';
import { LABELS } from '../../../crds/names.ts';
import type { ResourceType } from '../../../kube/resource-types.ts';
import type { FakeApiServer } from '../../../kube/testing/fake-api-server.ts';
import type { Pod } from '../../../src/cluster/pod.ts';
import { RESOURCE_TYPES } from '../../../src/cluster/types.ts';
import {
  agent,
  checkpoint,
  claim,
  container,
  containerID,
  NAMESPACE,
  node,
  pod,
  store,
  storedStatus,
} from '../../../src/testing/builders.ts';
import { schedule } from '../../../src/testing/schedule-facts.ts';

export interface Amounts {
  readonly checkpoints: number;
  readonly schedules: number;
  /** of the Checkpoints, those that are not looked at yet */
  readonly pending: number;
}

/** Every schedule is asked for a run under this token. */
export const TOKEN = 'bench';

export function seedObjects(server: FakeApiServer, amounts: Amounts): void {
  seedCluster(server);
  const pods = Array.from({ length: amounts.schedules }, (_none, index) => realisticPod(index));
  for (const [index, one] of pods.entries()) {
    const { uid } = seed(server, RESOURCE_TYPES.pods, one).metadata;
    pods[index] = { ...one, metadata: { ...one.metadata, uid: uid ?? '' } };
    seed(server, RESOURCE_TYPES.checkpointSchedules, scheduleOf(one, index));
  }
  for (let n = 0; n < amounts.checkpoints; n++) {
    const one = pods[n % pods.length];
    if (one !== undefined) {
      seed(server, RESOURCE_TYPES.checkpoints, checkpointOf(one, n, n < amounts.pending));
    }
  }
}

function seedCluster(server: FakeApiServer): void {
  for (const name of ['node-a', 'node-b']) {
    seed(server, RESOURCE_TYPES.nodes, node(name));
    seed(server, RESOURCE_TYPES.pods, agent(name));
  }
  seed(server, RESOURCE_TYPES.claims, claim());
  seed(server, RESOURCE_TYPES.checkpointStores, store());
  const metadata = { name: NAMESPACE };
  server.seed(RESOURCE_TYPES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata });
}

/** As large as pods are: the template of each Checkpoint has a copy of it. */
function realisticPod(index: number): Pod {
  const env = Array.from({ length: 30 }, (_none, n) => ({
    name: `SETTING_${n}`,
    value: `some value that is as long as such values are, number ${n}`,
  }));
  const name = `app-${index}`;
  const one = pod(
    { nodeName: index % 2 === 0 ? 'node-a' : 'node-b', containers: [container({ env })] },
    { name, uid: name, labels: { app: name } },
  );
  const statuses = one.status?.containerStatuses?.map((status) => ({
    ...status,
    containerID: containerID(index.toString(16).padStart(2, '0')),
  }));
  return { ...one, status: { ...one.status, containerStatuses: statuses ?? [] } };
}

function scheduleOf({ metadata: { name } }: Pod, index: number) {
  return schedule(
    {
      schedule: `${index % 60} 3 1 1 *`,
      selector: { matchLabels: { app: name } },
      retention: { keepLast: 100, keepDaily: 30, keepWeekly: 8, maxBytes: '1Ti' },
      // The server stamps the whole history with the present: no window, or nothing would be saved.
      triggers: { onNodeDrain: true, onAnnotation: true, minIntervalSeconds: 0 },
      runNow: TOKEN,
    },
    undefined,
    { name: `schedule-${index}` },
  );
}

/** Pending ones are made by hand: a schedule would wait for its own. */
function checkpointOf(source: Pod, n: number, pending: boolean) {
  const name = `chk-${n}`;
  const labels = { [LABELS.schedule]: `schedule-${source.metadata.name.slice(4)}` };
  const metadata = { name, uid: name, labels: pending ? {} : labels };
  const spec = { source: { pod: { name: source.metadata.name } } };
  return checkpoint(spec, pending ? undefined : storedStatus(source), metadata);
}

/** Versions and uids are the server's to give. */
function seed<T extends TypedObject>(server: FakeApiServer, type: ResourceType, object: T): T {
  const { resourceVersion: _version, uid: _uid, ...metadata } = object.metadata;
  return server.seed(type, { ...object, metadata });
}
