// A group on the real cluster: pods of both nodes stand still at one moment; one that cannot be saved lets all go on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointGroup } from '../../crds/checkpoint-group.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { RESOURCE_TYPES } from '../../src/cluster/types.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertUnharmed } from './testing/expectations.ts';
import { beats } from './testing/migrations.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast, type PodManifest, witness } from './testing/witness.ts';

const cluster = connect();
const TIER = { tier: 'shop' };
/** No machine of ours is so busy that a pod waits as long by itself. */
const GAP_SECONDS = 0.2;

/** Tells when it stood still, by a clock that both nodes share here. */
const PROGRAM = `
import time
last = time.monotonic()
while True:
    time.sleep(0.002)
    now = time.monotonic()
    if now - last > ${GAP_SECONDS}:
        print(f"gap {last:.3f} {now:.3f}", flush=True)
    last = now
`;

function labelled(manifest: PodManifest): PodManifest {
  const { metadata } = manifest as { metadata: PodManifest['metadata'] & { labels?: object } };
  return {
    ...manifest,
    metadata: { ...metadata, labels: { ...metadata.labels, ...TIER } },
  } as PodManifest;
}

function watcher(name: string, nodeName: 'node-a' | 'node-b', mebibytes: number): PodManifest {
  const command = [
    '/usr/bin/python3',
    '-c',
    `memory = bytearray(${mebibytes} << 20)\nfor at in range(0, len(memory), 4096): memory[at] = 1\n${PROGRAM}`,
  ];
  const base = ballast(1, { name, nodeName });
  const [main] = base.spec.containers;
  assert.ok(main);
  const { readinessProbe: _none, ...container } = main;
  return labelled({ ...base, spec: { ...base.spec, containers: [{ ...container, command }] } });
}

async function settledGroup(scene: Scene): Promise<CheckpointGroup> {
  const metadata = { name: 'shop' };
  const spec = { selector: { matchLabels: TIER } };
  await scene.kubectl.apply(
    toYaml({ apiVersion: API_VERSION, kind: 'CheckpointGroup', metadata, spec }),
  );
  const groups = cluster.client.resource<CheckpointGroup>(RESOURCE_TYPES.checkpointGroups);
  return await eventually(
    'the group ends',
    () => groups.get({ namespace: scene.namespace, name: 'shop' }),
    ({ status }) =>
      isConditionTrue(status?.conditions, 'Ready') || isConditionTrue(status?.conditions, 'Failed'),
    120_000,
  );
}

describe('a group of pods', { concurrency: 1 }, () => {
  it('of both nodes stands still at one moment, and runs on', async () => {
    await using scene = await Scene.create(cluster, 'group');
    // The second one takes longer to store: the first one waits for it.
    await scene.run(watcher('small', 'node-a', 1), watcher('large', 'node-b', 300));
    const group = await settledGroup(scene);
    assert.match(verdict(group), /^Completed: /, JSON.stringify(group.status));
    const gaps = await Promise.all(
      ['small', 'large'].map((pod) =>
        eventually(
          `${pod} runs on`,
          async () => {
            const log = await scene.kubectl.run(['logs', pod]);
            const found = [...log.matchAll(/^gap ([\d.]+) ([\d.]+)$/gm)];
            return found.map(([, from, to]) => [Number(from), Number(to)] as const);
          },
          (found) => found.length > 0,
        ),
      ),
    );
    const longest = gaps.map((all) => all.toSorted((a, b) => b[1] - b[0] - (a[1] - a[0]))[0]!);
    const lastStop = Math.max(...longest.map(([from]) => from));
    const firstStart = Math.min(...longest.map(([, to]) => to));
    assert.ok(lastStop < firstStart, `no moment in common: ${JSON.stringify(longest)}`);
    for (const name of ['shop-small', 'shop-large']) {
      assert.match(verdict(await scene.settledCheckpoint(name)), /^Completed: /);
    }
    await scene.restore('back', 'shop-small', { target: { newPod: { nodeName: 'node-b' } } });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    await scene.leave();
  });

  it('of which one cannot be saved is not saved at all, and nobody notices', async () => {
    await using scene = await Scene.create(cluster, 'group-bad');
    const shared = { shareProcessNamespace: true };
    const bad = labelled(witness({ name: 'bad', nodeName: 'node-b', spec: shared as object }));
    const [good] = await scene.run(labelled(ballast(8)), bad);
    assert.ok(good);
    const group = await settledGroup(scene);
    assert.match(
      verdict(group),
      /^MemberFailed: .*shop-bad: PodUnsupported/,
      JSON.stringify(group.status),
    );
    assertUnharmed(good, await scene.pod('ballast'));
    const first = await beats(scene, 'ballast');
    await eventually(
      'it counts on',
      () => beats(scene, 'ballast'),
      (now) => now > first,
      30_000,
    );
    await scene.untilNothingIsLeft([]);
    await scene.leave();
  });
});
