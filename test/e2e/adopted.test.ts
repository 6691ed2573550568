// Replicas that belong to a controller, on the real cluster: a StatefulSet's and a Job's move through the next replica, and
// a Restore becomes the next one of a Deployment. The admission policy is the real one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { futex, judgeMoved, judgeWaiting } from '../../deploy/demo/futex.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import { isPodReady, type Pod, type PodSpec } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertHolds } from './testing/expectations.ts';
import { isOver, migrate, untilMigration } from './testing/migrations.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast, type PodManifest, PYTHON_IMAGE, witness } from './testing/witness.ts';

const cluster = connect();
const app = futex();
const labels = { app: 'witness' };

/** The spec of a sketch, for the scheduler to place. */
function template({ spec }: PodManifest, changes: Partial<PodSpec> = {}): object {
  const { nodeName: _anywhere, ...rest } = spec;
  return { metadata: { labels }, spec: { ...rest, ...changes } };
}

function workload(kind: string, spec: object, apiVersion = 'apps/v1'): string {
  return toYaml({ apiVersion, kind, metadata: { name: 'witness' }, spec });
}

async function pods(scene: Scene): Promise<readonly Pod[]> {
  const { items } = await cluster.pods.list({
    namespace: scene.namespace,
    labelSelector: 'app=witness',
  });
  return items;
}

const otherNode = ({ spec }: Pod): string => (spec.nodeName === 'node-a' ? 'node-b' : 'node-a');

async function assertMoved(scene: Scene, name: string): Promise<Pod> {
  const migration = await untilMigration(scene, name, 'ends', isOver);
  assert.match(verdict(migration), /^Completed: /, JSON.stringify(migration.status));
  const { target, downtimeMillis = -1 } = migration.status ?? {};
  assert.ok(downtimeMillis > 0, `downtime ${downtimeMillis}`);
  const successor = await scene.pod(target?.podName ?? '');
  assert.equal(successor.metadata.uid, target?.podUID);
  assert.equal(successor.status?.containerStatuses?.[0]?.restartCount, 0);
  assert.ok(isPodReady(successor));
  return successor;
}

describe('on the real cluster', { concurrency: 2 }, () => {
  it('the pod of a StatefulSet moves, and keeps its name, its claim and all that it waits for', async () => {
    await using scene = await Scene.create(cluster, 'adopt-set');
    const mounts = [{ name: 'data', mountPath: '/data' }];
    const manifest = witness({ container: { volumeMounts: mounts } });
    const size = { requests: { storage: '1Gi' } };
    const claim = {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: size },
    };
    await scene.kubectl.apply(
      workload('StatefulSet', {
        replicas: 2,
        serviceName: 'witness',
        selector: { matchLabels: labels },
        podManagementPolicy: 'Parallel',
        volumeClaimTemplates: [claim],
        template: template(manifest),
      }),
    );
    await scene.kubectl.run(['rollout', 'status', 'statefulset/witness', '--timeout=120s']);
    const source = await scene.pod('witness-1');
    const sibling = await scene.pod('witness-0');
    const before = await app.observe(scene.kubectl, 'witness-1');
    const target = { nodeName: otherNode(source) };
    await migrate(scene, 'away', { podRef: { name: 'witness-1' }, target });
    const successor = await assertMoved(scene, 'away');
    assert.equal(successor.metadata.name, 'witness-1');
    assert.notEqual(successor.metadata.uid, source.metadata.uid);
    assert.equal(successor.spec.nodeName, target.nodeName);
    const claimed = successor.spec.volumes?.flatMap(
      (volume) => volume.persistentVolumeClaim?.claimName ?? [],
    );
    assert.deepEqual(claimed, ['data-witness-1']);
    const [owner] = successor.metadata.ownerReferences ?? [];
    assert.equal(owner?.uid, source.metadata.ownerReferences?.[0]?.uid);
    const moved = await eventually(
      'its waits end',
      () => app.observe(scene.kubectl, 'witness-1'),
      ({ errors, rounds }) =>
        errors.length > 0 || Object.values(rounds).every((round) => round.moved > 0),
    );
    assertHolds([...judgeWaiting(before, moved), ...judgeMoved(before, moved)]);
    assert.equal((await scene.pod('witness-0')).metadata.uid, sibling.metadata.uid);
    assert.equal((await pods(scene)).length, 2);
    // Nothing waits any more: an ordinary replica follows an ordinary deletion.
    await scene.kubectl.run(['delete', 'pod', 'witness-0']);
    await scene.kubectl.run(['rollout', 'status', 'statefulset/witness', '--timeout=120s']);
    const fresh = await scene.pod('witness-0');
    assert.equal(fresh.metadata.annotations?.['diapause.dev/restore'], undefined);
    await scene.leave();
  });

  it('the pod of a Job moves, is counted once, and its end is the end of the Job', async () => {
    await using scene = await Scene.create(cluster, 'adopt-job');
    const program = `
import os, time
for beat in range(400):
    print(f"beat {beat} of {os.environ['HOSTNAME']}", flush=True)
    time.sleep(0.1)
`;
    const manifest = ballast(1, { name: 'witness' });
    const [main] = manifest.spec.containers;
    assert.equal(main?.image, PYTHON_IMAGE);
    const { readinessProbe: _none, ...container } = main;
    const command = ['/usr/bin/python3', '-c', program];
    const containers = [{ ...container, command }];
    await scene.kubectl.apply(
      workload(
        'Job',
        { backoffLimit: 0, template: template(manifest, { containers, restartPolicy: 'Never' }) },
        'batch/v1',
      ),
    );
    const [source] = await eventually(
      'the Job runs',
      () => pods(scene),
      ([one]) => one?.status?.phase === 'Running',
    );
    assert.ok(source);
    const lastBeat = async (pod: string): Promise<number> => {
      const log = await scene.kubectl.run(['logs', pod, '--tail=1']);
      return Number(/^beat (\d+)/.exec(log)?.[1] ?? -1);
    };
    const { name } = source.metadata;
    await eventually(
      'it has begun',
      () => lastBeat(name),
      (beat) => beat > 5,
    );
    await migrate(scene, 'away', { podRef: { name }, target: { nodeName: otherNode(source) } });
    const successor = await assertMoved(scene, 'away');
    assert.match(successor.metadata.name, /^witness-[0-9a-f]{5}$/);
    const log = await scene.kubectl.run(['logs', successor.metadata.name]);
    assert.ok(!log.includes('beat 0 '), 'it did not begin anew');
    assert.equal((await pods(scene)).length, 1);
    await scene.kubectl.run(['wait', '--for=condition=Complete', 'job/witness', '--timeout=90s']);
    const counts = '-o=jsonpath={.status.succeeded}/{.status.failed}/{.status.active}';
    assert.equal(await scene.kubectl.run(['get', 'job/witness', counts]), '1//');
    await scene.leave();
  });

  it('a Restore becomes the next replica of a Deployment, and only that one', async () => {
    await using scene = await Scene.create(cluster, 'adopt-next');
    await scene.kubectl.apply(
      workload('Deployment', {
        replicas: 1,
        selector: { matchLabels: labels },
        template: template(witness()),
      }),
    );
    await scene.kubectl.run(['rollout', 'status', 'deployment/witness', '--timeout=90s']);
    const [source] = await pods(scene);
    assert.ok(source);
    const before = await app.observe(scene.kubectl, source.metadata.name);
    await scene.checkpoint('one', source.metadata.name);
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    await scene.restore('back', 'one', { target: { type: 'Adopt' } });
    const read = () => cluster.restores.get({ namespace: scene.namespace, name: 'back' });
    await eventually('it waits', read, ({ status }) => status?.adoption?.inForce === true);
    await scene.kubectl.run(['scale', 'deployment/witness', '--replicas=4']);
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    await scene.kubectl.run(['rollout', 'status', 'deployment/witness', '--timeout=120s']);
    const replicas = await pods(scene);
    assert.equal(replicas.length, 4);
    const restored = replicas.filter(
      ({ metadata }) => metadata.annotations?.['diapause.dev/restore'] !== undefined,
    );
    assert.deepEqual(
      restored.map(({ metadata }) => metadata.name),
      ['back'],
    );
    assertHolds(judgeWaiting(before, await app.observe(scene.kubectl, 'back')));
    await scene.leave();
  });
});
