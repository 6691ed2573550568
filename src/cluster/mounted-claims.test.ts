// A pod that mounts a claim on a volume of its node, in a small cluster.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCondition } from '../../kube/conditions.ts';
import { claim, NAMESPACE } from '../testing/builders.ts';
import { localClaim } from '../testing/mounts.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { RESOURCE_TYPES } from './types.ts';

async function startWithLocalVolume(): Promise<SmallCluster> {
  const cluster = await SmallCluster.start();
  const { volume } = localClaim('node-a');
  cluster.server.seed(RESOURCE_TYPES.volumes, volume ?? assert.fail());
  cluster.server.seed(RESOURCE_TYPES.claims, {
    ...claim({ metadata: { name: 'data', namespace: NAMESPACE } }),
    spec: { accessModes: ['ReadWriteOnce'], volumeName: 'pv-1' },
  });
  const { nodes, pods } = RESOURCE_TYPES;
  const client = cluster.server.client();
  for (const name of ['node-a', 'node-b']) {
    const labels = { 'kubernetes.io/hostname': name };
    await client.resource(nodes).mergePatch({ name }, { metadata: { labels } });
  }
  const volumes = [{ name: 'files', persistentVolumeClaim: { claimName: 'data' } }];
  const ref = { namespace: NAMESPACE, name: 'redis' };
  await client.resource(pods).mergePatch(ref, { spec: { volumes } });
  return cluster;
}

test('a Restore to another node is refused before any pod is made', async () => {
  await using cluster = await startWithLocalVolume();
  cluster.createCheckpoint();
  await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
  cluster.createRestore({ target: { newPod: { nodeName: 'node-b' } } });
  await cluster.untilReason(() => cluster.restore(), 'VolumeStaysBehind');
  const failed = findCondition(cluster.restore()?.status?.conditions, 'Failed');
  assert.match(
    failed?.message ?? '',
    /spec\.target\.newPod\.nodeName: node node-b cannot mount the volume pv-1 of the claim "data"/,
  );
  assert.equal(cluster.pod('redis-back'), undefined);
});

test('a Restore that leaves the choice is not refused', async () => {
  await using cluster = await startWithLocalVolume();
  cluster.createCheckpoint({ afterDump: 'DeletePod' });
  await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
  cluster.createRestore({ target: { newPod: {} } });
  await cluster.untilReason(() => cluster.restore(), 'Completed');
});

test('a dry run knows which node cannot take it', async () => {
  await using cluster = await startWithLocalVolume();
  cluster.createCheckpoint({ mode: 'DryRun' });
  await cluster.untilReason(() => cluster.checkpoint(), 'DryRunPassed');
  const found = cluster.checkpoint()?.status?.estimate?.nodes ?? [];
  const b = found.find(({ name }) => name === 'node-b');
  assert.equal(b?.suitable, 'No');
  assert.match(b.message, /cannot mount the volume pv-1/);
  assert.notEqual(found.find(({ name }) => name === 'node-a')?.suitable, 'No');
});
