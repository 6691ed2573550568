// A pod with a volume of its own node, on the real cluster: it is told that it cannot move before anything is stopped, nor
// be restored elsewhere before anything is made.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { toYaml } from '../../deploy/demo/manifests.ts';
import { connect } from './testing/cluster.ts';
import { assertFailed, assertUnharmed } from './testing/expectations.ts';
import { isOver, migrate, untilMigration } from './testing/migrations.ts';
import { Scene, verdict } from './testing/scene.ts';
import { witness } from './testing/witness.ts';

const cluster = connect();
const SIZE = { storage: '1Gi' };

/** Bound by name, so that nobody else gets it. */
function localVolume(name: string, namespace: string): readonly object[] {
  const hostname = { key: 'kubernetes.io/hostname', operator: 'In', values: ['node-a'] };
  const shared = { storageClassName: '', accessModes: ['ReadWriteMany'] };
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        ...shared,
        capacity: SIZE,
        claimRef: { namespace, name: 'data' },
        // There on every node; nothing is written.
        hostPath: { path: '/usr/share', type: 'Directory' },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [hostname] }] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { ...shared, volumeName: name, resources: { requests: SIZE } },
    },
  ];
}

it('a pod with a volume of its own node is neither stopped for a move that cannot be nor restored elsewhere', async () => {
  await using scene = await Scene.create(cluster, 'local-volume');
  const name = `local-${scene.namespace}`;
  for (const object of localVolume(name, scene.namespace)) {
    await scene.kubectl.apply(toYaml(object));
  }
  await using _gone = {
    [Symbol.asyncDispose]: async () =>
      void (await scene.kubectl.run(['delete', 'persistentvolume', name, '--wait=false'])),
  };
  const manifest = witness({
    container: { volumeMounts: [{ name: 'data', mountPath: '/data', readOnly: true }] },
    spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
  });
  const [source] = await scene.run(manifest);
  assert.ok(source);
  for (const [migration, target, says] of [
    ['there', { nodeName: 'node-b' }, /target\.nodeName: node node-b cannot mount the volume/],
    ['anywhere', { any: {} }, /spec\.target: no node but node-a can mount the volume/],
  ] as const) {
    await migrate(scene, migration, { podRef: { name: 'witness' }, target });
    const ended = verdict(await untilMigration(scene, migration, 'ends', isOver));
    assert.match(ended, /^VolumeStaysBehind: /);
    assert.match(ended, says);
    assert.match(ended, new RegExp(`${name} of the claim "data"`));
  }
  await scene.checkpoint('trial', 'witness', { mode: 'DryRun' });
  const { nodes = [] } = (await scene.settledCheckpoint('trial')).status?.estimate ?? {};
  const there = nodes.find((node) => node.name === 'node-b');
  assert.equal(there?.suitable, 'No', JSON.stringify(nodes));
  assert.match(there.message, /cannot mount the volume/);
  assertUnharmed(source, await scene.pod('witness'));
  await scene.checkpoint('saved', 'witness');
  await scene.settledCheckpoint('saved');
  await scene.restore('back', 'saved', { target: { newPod: { nodeName: 'node-b' } } });
  assertFailed(
    await scene.settledRestore('back'),
    /^VolumeStaysBehind: .*spec\.target\.newPod\.nodeName: node node-b cannot mount/,
  );
  assert.equal(await scene.findPod('back'), undefined);
  await scene.leave();
});
