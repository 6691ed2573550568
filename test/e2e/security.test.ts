// What users may do with what Diapause can, asked of the real API server; and that a restored pod may do no more than the
// one that was saved.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { API_VERSION } from '../../crds/meta.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import type { Pod } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { processesOf } from './testing/node-processes.ts';
import { Scene, verdict } from './testing/scene.ts';
import { told } from './testing/stolen-token.ts';
import { witness } from './testing/witness.ts';

const cluster = connect();
const ALLOWED = /^allowed$/;
const FORBIDDEN = /[Ff]orbidden/;

describe('users', { concurrency: 1 }, () => {
  let scene: Scene;
  let source: Pod;
  const as = (user: string): string => `--as=${user}`;
  const apply = (user: string, manifest: object) =>
    told(scene.kubectl.run(['create', '-f', '-', as(user)], toYaml(manifest)));
  const object = (kind: string, name: string, spec: object): object => ({
    apiVersion: API_VERSION,
    kind,
    metadata: { name },
    spec,
  });
  const restore = (name: string, checkpoint = 'one') =>
    object('Restore', name, {
      checkpointRef: { name: checkpoint },
      target: { newPod: { nodeName: 'node-b' } },
    });
  const grant = (name: string, role: string, user: string) =>
    scene.kubectl.run(['create', 'rolebinding', name, `--clusterrole=${role}`, `--user=${user}`]);

  before(async () => {
    scene = await Scene.create(cluster, 'rights');
    const resources = { limits: { memory: '64Mi' }, requests: { cpu: '1m', memory: '16Mi' } };
    [source] = (await scene.run(witness({ container: { resources } }))) as [Pod];
    await grant('erin-edits', 'edit', 'erin');
    await grant('ada-edits', 'edit', 'ada');
    await grant('ada-restores', 'diapause-restore', 'ada');
    await scene.kubectl.run([
      'create',
      'role',
      'only-one',
      '--verb=restore',
      '--resource=checkpoints.diapause.dev',
      '--resource-name=one',
    ]);
  });

  after(() => scene[Symbol.asyncDispose]());

  it('who edit may save, but restore only with the verb restore', async () => {
    const checkpoint = object('Checkpoint', 'one', { source: { pod: { name: 'witness' } } });
    assert.match(await apply('erin', checkpoint), ALLOWED);
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    const NEEDS = /user erin needs the verb restore on the Checkpoint one/;
    assert.match(await apply('erin', restore('erins')), NEEDS);
    const away = (name: string) =>
      object('Migration', name, {
        podRef: { name: 'nobody' },
        target: { nodeName: 'node-b' },
      });
    assert.match(await apply('erin', away('erins')), /user erin needs the verb restore/);
    assert.match(await apply('ada', restore('adas')), ALLOWED);
    assert.match(await apply('ada', away('adas')), ALLOWED);
    assert.match(verdict(await scene.settledRestore('adas')), /^Completed: /);
  });

  it('may have the verb for a single Checkpoint', async () => {
    await scene.kubectl.run(['create', 'rolebinding', 'one', '--role=only-one', '--user=erin']);
    assert.match(await apply('erin', restore('other', 'two')), /the Checkpoint two/);
    assert.match(await apply('erin', restore('hers')), ALLOWED);
    await scene.kubectl.run(['delete', 'restore', 'hers', '--wait=false']);
  });

  it('who may not exec get nothing run by hooks', async () => {
    // `edit` has pods/exec and pods/proxy; this one does not.
    await scene.kubectl.run([
      'create',
      'role',
      'saves',
      '--verb=create',
      '--verb=get',
      '--verb=patch',
      '--resource=checkpoints.diapause.dev,restores.diapause.dev,checkpointgroups.diapause.dev,checkpointschedules.diapause.dev',
    ]);
    await scene.kubectl.run(['create', 'rolebinding', 'sam', '--role=saves', '--user=sam']);
    await grant('sam-restores', 'diapause-restore', 'sam');
    const exec = { exec: { command: ['/bin/true'] } };
    const source = { pod: { name: 'witness' } };
    const checkpoint = (name: string, hooks: object) =>
      object('Checkpoint', name, { source, suspend: true, hooks });
    assert.match(await apply('sam', checkpoint('a', {})), ALLOWED);
    assert.match(await apply('sam', checkpoint('b', { post: [exec] })), /sam needs .* pods\/exec/);
    const http = { http: { port: 80 } };
    assert.match(
      await apply('sam', checkpoint('c', { pre: [http] })),
      /sam needs .*create on pods\/proxy/,
    );
    const get = { http: { port: 80, method: 'GET' } };
    assert.match(
      await apply('sam', checkpoint('d', { pre: [get] })),
      /sam needs .*get on pods\/proxy/,
    );
    const probed = object('Restore', 'probed', {
      checkpointRef: { name: 'one' },
      verify: { probe: exec },
    });
    assert.match(await apply('sam', probed), /sam needs .* pods\/exec/);
    assert.match(await apply('erin', checkpoint('e', { pre: [exec], post: [http] })), ALLOWED);
  });

  it('who may not exec get nothing run by groups and schedules, nor by changing those of others', async () => {
    const hooks = { pre: [{ exec: { command: ['/bin/true'] } }] };
    const selector = { matchLabels: { nobody: 'has this' } };
    const group = (name: string) => object('CheckpointGroup', name, { selector, hooks });
    const schedule = (name: string, template: object) =>
      object('CheckpointSchedule', name, { schedule: '@daily', selector, template });
    const NEEDS = /sam needs .* pods\/exec/;
    assert.match(await apply('sam', group('sams')), NEEDS);
    assert.match(await apply('erin', group('erins')), ALLOWED);
    assert.match(await apply('sam', schedule('sams', { spec: { hooks } })), NEEDS);
    assert.match(await apply('sam', schedule('plain', {})), ALLOWED);
    assert.match(await apply('erin', schedule('erins', { spec: { hooks } })), ALLOWED);
    const patch = (user: string, name: string, spec: object) => {
      const args = ['patch', 'chks', name, '--type=merge', `-p=${JSON.stringify({ spec })}`];
      return told(scene.kubectl.run([...args, as(user)]));
    };
    assert.match(await patch('sam', 'plain', { template: { spec: { hooks } } }), NEEDS);
    const others = { selector: { matchLabels: { app: 'witness' } } };
    assert.match(await patch('sam', 'erins', others), NEEDS);
    assert.match(await patch('sam', 'erins', { suspend: true }), ALLOWED);
    assert.match(await patch('erin', 'erins', others), ALLOWED);
    await scene.kubectl.run(['delete', 'chks,chkg', '--all', '--wait=false']);
  });

  it('who may not delete a pod rewind it as little, nor have it deleted', async () => {
    // sam may restore and create our objects, and nothing with pods.
    const rewinding = (name: string) =>
      object('Restore', name, {
        checkpointRef: { name: 'one' },
        target: { type: 'InPlace', inPlace: { podRef: { name: 'witness' } } },
      });
    const saving = (name: string, afterDump: string) =>
      object('Checkpoint', name, {
        source: { pod: { name: 'witness' } },
        suspend: true,
        afterDump,
      });
    const NEEDS = /user sam needs the verb delete on the pod witness/;
    assert.match(await apply('sam', rewinding('sams')), NEEDS);
    assert.match(await apply('sam', saving('gone', 'DeletePod')), NEEDS);
    assert.match(await apply('sam', saving('still', 'Stop')), ALLOWED);
    const patch = (spec: object) => {
      const args = ['patch', 'chk', 'still', '--type=merge', `-p=${JSON.stringify({ spec })}`];
      return told(scene.kubectl.run([...args, as('sam')]));
    };
    assert.match(await patch({ afterDump: 'DeletePod' }), NEEDS);
    await scene.kubectl.run([
      'create',
      'role',
      'ends-witness',
      '--verb=delete',
      '--resource=pods',
      '--resource-name=witness',
    ]);
    await scene.kubectl.run(['create', 'rolebinding', 'ends', '--role=ends-witness', '--user=sam']);
    assert.match(await patch({ afterDump: 'DeletePod' }), ALLOWED);
    const cancelled = { cancel: true };
    await scene.kubectl.run([
      'patch',
      'chk',
      'still',
      '--type=merge',
      `-p=${JSON.stringify({ spec: cancelled })}`,
    ]);
    assert.match(await apply('sam', rewinding('sams')), ALLOWED);
    assert.match(verdict(await scene.settledRestore('sams')), /^Completed: /);
    assert.equal((await scene.pod('witness')).metadata.uid, source.metadata.uid);
  });

  it('cannot change what a Checkpoint will be restored as', async () => {
    const stronger = '{"status":{"podTemplate":{"spec":{"serviceAccountName":"admin"}}}}';
    for (const user of ['erin', 'ada']) {
      for (const subresource of [['--subresource=status'], []]) {
        const args = [
          'patch',
          'checkpoint',
          'one',
          '--type=merge',
          `-p=${stronger}`,
          ...subresource,
        ];
        const said = await told(scene.kubectl.run([...args, as(user)]));
        // Without the subresource the API server takes no notice of status.
        assert.match(said, subresource.length > 0 ? FORBIDDEN : ALLOWED);
      }
    }
    const saved = await cluster.checkpoints.get({ namespace: scene.namespace, name: 'one' });
    assert.equal(saved.status?.podTemplate?.spec['serviceAccountName'], 'default');
  });

  it('cannot pass pods off as those of Diapause', async () => {
    const { spec } = witness();
    for (const metadata of [
      { name: 'mine', labels: { 'diapause.dev/role': 'holder' } },
      { name: 'diapause-holder-mine' },
    ]) {
      const said = await apply('ada', { apiVersion: 'v1', kind: 'Pod', metadata, spec });
      assert.match(said, /Diapause/, JSON.stringify(metadata));
    }
  });

  it('get a pod back that may do what the saved one might, and nothing else', async () => {
    const restored = await scene.pod('adas');
    assert.equal(restored.metadata.namespace, source.metadata.namespace);
    assert.deepEqual(privilegesOf(restored), privilegesOf(source));
    assert.deepEqual(processFacts(restored), processFacts(source));
  });
});

/** Everything in a pod that could give it more than another one has. */
function privilegesOf({ spec }: Pod): object {
  const whole = spec as Pod['spec'] & Readonly<Record<string, unknown>>;
  return {
    serviceAccountName: whole['serviceAccountName'],
    automountServiceAccountToken: whole.automountServiceAccountToken,
    securityContext: whole.securityContext,
    host: [whole.hostPID, whole.hostIPC, whole.hostNetwork, whole['hostUsers']],
    initContainers: whole.initContainers ?? [],
    hostPaths: (whole.volumes ?? []).filter((volume) => 'hostPath' in volume),
    priority: whole['priority'],
    runtimeClassName: whole['runtimeClassName'],
    containers: whole.containers.map((container) => ({
      name: container.name,
      securityContext: container.securityContext,
      resources: container.resources,
      devices: (container as { readonly volumeDevices?: unknown }).volumeDevices,
    })),
  };
}

const STATUS_FIELDS =
  /^(Uid|Gid|Groups|NoNewPrivs|Seccomp|CapInh|CapPrm|CapEff|CapBnd|CapAmb):.*$/gm;

/** As the kernel of the node sees its processes. */
function processFacts(pod: Pod): readonly string[] {
  return processesOf(pod)
    .map(
      ({ pid }) =>
        readFileSync(`/proc/${pid}/status`, 'latin1').match(STATUS_FIELDS)?.join(';') ?? '',
    )
    .toSorted();
}
