// Rewind on the real cluster: a running pod becomes again what it was, and neither kubelet nor runtime sees a restart.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RestoreTarget } from '../../crds/restore.ts';
import { futex, judgeOwnersDead, judgeWaiting } from '../../deploy/demo/futex.ts';
import type { Pod } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertHolds, assertUnharmed } from './testing/expectations.ts';
import { bundleName, Scene, verdict } from './testing/scene.ts';
import { ballast, PYTHON_IMAGE, witness } from './testing/witness.ts';

const cluster = connect();
const app = futex();

const into = (name: string, uid?: string): { readonly target: RestoreTarget } => ({
  target: { type: 'InPlace', inPlace: { podRef: { name, ...(uid !== undefined && { uid }) } } },
});

async function ownersDie(scene: Scene, pod: string): Promise<void> {
  assertHolds(judgeOwnersDead(await scene.kubectl.ask(pod, ['/app/futex', 'owners-die'])));
}

/** The newest number of beats in its log. */
async function beats(scene: Scene, pod: string): Promise<number> {
  const line = await scene.kubectl.run(['logs', pod, '--tail=1']);
  return Number(/^beats (\d+)/.exec(line)?.[1] ?? 0);
}

/** The first number of beats in its log that is less than the one before it. */
async function whereItWentBack(scene: Scene, pod: string): Promise<number | undefined> {
  const log = await scene.kubectl.run(['logs', pod]);
  const counts = [...log.matchAll(/^beats (\d+)/gm)].map(([, count]) => Number(count));
  return counts.find((count, index) => count < (counts[index - 1] ?? 0));
}

async function python(scene: Scene, pod: string, program: string): Promise<string> {
  return await scene.kubectl.run(['exec', pod, '--', '/usr/bin/python3', '-c', program]);
}

/** The very container that ran before, and the same address. */
function assertNotRestarted(before: Pod, after: Pod): void {
  assertUnharmed(before, after);
  const [was, is] = [before, after].map(({ status }) => ({
    address: status?.podIP,
    containers: status?.containerStatuses?.map(({ containerID, state }) => ({
      containerID,
      startedAt: state?.running?.startedAt,
    })),
  }));
  assert.deepEqual(is, was);
}

describe('rewind on the real cluster', { concurrency: true }, () => {
  it('brings back threads and processes that have died since, twice', async () => {
    await using scene = await Scene.create(cluster, 'rewind');
    const [source] = await scene.run(witness());
    assert.ok(source);
    const before = await app.observe(scene.kubectl, 'witness');
    await scene.checkpoint('one', 'witness');
    const checkpoint = await scene.settledCheckpoint('one');
    assert.match(verdict(checkpoint), /^Completed: /);
    for (const name of ['first', 'second']) {
      await ownersDie(scene, 'witness');
      await scene.restore(name, 'one', into('witness', source.metadata.uid));
      const restore = await scene.settledRestore(name);
      assert.match(verdict(restore), /^Completed: /);
      assert.equal(restore.status?.pod?.uid, source.metadata.uid);
      const after = await app.observe(scene.kubectl, 'witness');
      assertHolds(judgeWaiting(before, after));
      assert.equal(after.address, before.address);
      assertNotRestarted(source, await scene.pod('witness'));
    }
    await scene.untilNothingIsLeft([bundleName(checkpoint)]);
    await scene.kubectl.run(['delete', 'rst/first', 'rst/second', '--timeout=60s']);
    assertNotRestarted(source, await scene.pod('witness'));
  });

  it('puts memory and files back, while its log goes on', async () => {
    await using scene = await Scene.create(cluster, 'rewind-files');
    const [source] = await scene.run(ballast(64));
    assert.ok(source);
    await python(scene, 'ballast', 'open("/work/kept", "w").write("early")');
    const early = await beats(scene, 'ballast');
    await scene.checkpoint('one', 'ballast');
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    const settled = await beats(scene, 'ballast');
    const change = 'open("/work/kept", "w").write("late"); open("/work/later", "w").close()';
    await python(scene, 'ballast', change);
    const later = await eventually(
      'it counts on',
      () => beats(scene, 'ballast'),
      (now) => now > settled + 1000,
    );
    await scene.restore('undo', 'one', into('ballast'));
    assert.match(verdict(await scene.settledRestore('undo')), /^Completed: /);
    const rewound = await eventually(
      'it counts from where it was saved',
      () => whereItWentBack(scene, 'ballast'),
      (count) => count !== undefined,
    );
    const says = `${rewound}, saved between ${early} and ${settled}`;
    assert.ok(rewound !== undefined && rewound >= early && rewound <= settled + 500, says);
    const look = 'import os; print(open("/work/kept").read(), sorted(os.listdir("/work")))';
    const files = await python(scene, 'ballast', look);
    assert.match(files, /^early /);
    assert.doesNotMatch(files, /later/);
    const log = await scene.kubectl.run(['logs', 'ballast']);
    assert.match(log, new RegExp(`^beats ${later} `, 'm'), 'what it wrote before is still there');
    assertNotRestarted(source, await scene.pod('ballast'));
  });

  it('refuses, by the name of the field, what cannot be, and changes nothing', async () => {
    await using scene = await Scene.create(cluster, 'rewind-bad');
    const other = witness({ name: 'other', container: { image: PYTHON_IMAGE } });
    const renamed = witness({ name: 'renamed', container: { name: 'web' } });
    const pods = await scene.run(witness(), other, renamed);
    await scene.checkpoint('one', 'witness');
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    for (const [name, spec, says] of [
      [
        'image',
        into('other'),
        /^ImageMismatch: spec\.target\.inPlace\.podRef\.name: container main/,
      ],
      [
        'container',
        into('renamed'),
        /^ContainerNotFound: spec\.target\.inPlace.*no container main/,
      ],
      [
        'missing',
        into('nobody'),
        /^PodNotFound: spec\.target\.inPlace\.podRef\.name: pod "nobody"/,
      ],
      ['uid', into('witness', 'another'), /^PodChanged: spec\.target\.inPlace\.podRef\.uid/],
    ] as const) {
      await scene.restore(name, 'one', spec);
      const restore = await scene.settledRestore(name);
      assertFailed(restore, says);
    }
    for (const pod of pods) {
      assertNotRestarted(pod, await scene.pod(pod.metadata.name));
    }
  });
});
