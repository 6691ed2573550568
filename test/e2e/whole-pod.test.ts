// Whole pods on the real cluster: two containers and a sidecar stand still together and go on together, on another node,
// with the files of their emptyDirs; the init container has done its work and does not do it again.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPodReady } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast, type PodManifest } from './testing/witness.ts';

const cluster = connect();
const PYTHON = '/usr/bin/python3';
const NAMES = ['side', 'one', 'two'] as const;
/** Longer than any pause that a busy machine makes by itself, shorter than the freeze of the test. */
const GAP_SECONDS = 1.5;
/** Between the stops of two containers. */
const TOGETHER_SECONDS = 0.5;

/** Counts into an open file, and tells when it stood still: by a clock that all containers share. */
const counter = (name: string): string => `
import time
log = open("/shared/${name}.log", "a", buffering=1)
last, beat = time.monotonic(), 0
while True:
    time.sleep(0.01)
    now = time.monotonic()
    if now - last > ${GAP_SECONDS}:
        print(f"gap {last:.3f} {now:.3f}", flush=True)
    last, beat = now, beat + 1
    log.write(f"{beat}\\n")
`;

function wholePod(): PodManifest {
  const base = ballast(1, { name: 'whole' });
  const [main] = base.spec.containers;
  assert.ok(main);
  const { readinessProbe: _none, ...plain } = main;
  const volumeMounts = [
    { name: 'shared', mountPath: '/shared' },
    { name: 'memory', mountPath: '/memory' },
  ];
  const container = (name: string, program: string) => ({
    ...plain,
    name,
    command: [PYTHON, '-c', program],
    volumeMounts,
  });
  const prepare = `
open("/shared/prepared", "a").write("once\\n")
open("/memory/token", "w").write("in memory")
`;
  return {
    ...base,
    spec: {
      ...base.spec,
      volumes: [
        { name: 'shared', emptyDir: {} },
        { name: 'memory', emptyDir: { medium: 'Memory' } },
      ],
      initContainers: [
        container('prepare', prepare),
        { ...container('side', counter('side')), restartPolicy: 'Always' },
      ],
      containers: [container('one', counter('one')), container('two', counter('two'))],
    },
  };
}

async function read(scene: Scene, pod: string, file: string): Promise<string> {
  const program = `print(open("${file}").read(), end="")`;
  return await scene.kubectl.run(['exec', pod, '-c', 'one', '--', PYTHON, '-c', program]);
}

/** The numbers that a container has written, in order. */
async function beats(scene: Scene, pod: string, name: string): Promise<readonly number[]> {
  return (await read(scene, pod, `/shared/${name}.log`)).trim().split('\n').map(Number);
}

describe('a pod of two containers and a sidecar', () => {
  it('stands still as one, and goes on as one where it is restored', async () => {
    await using scene = await Scene.create(cluster, 'whole');
    const [source] = await scene.run(wholePod());
    assert.ok(source);
    await scene.checkpoint('one', 'whole', { afterDump: 'Stop' });
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    await new Promise((resolve) => setTimeout(resolve, 2_000 * GAP_SECONDS));
    const resume = ['patch', 'chk/one', '--type=merge', '-p', '{"spec":{"afterDump":"Resume"}}'];
    await scene.kubectl.run(resume);
    const stops = await Promise.all(
      NAMES.map((name) =>
        eventually(
          `${name} tells of its pause`,
          async () => {
            const log = await scene.kubectl.run(['logs', 'whole', '-c', name]);
            return [...log.matchAll(/^gap ([\d.]+) /gm)].map(([, began]) => Number(began));
          },
          (gaps) => gaps.length > 0,
        ),
      ),
    );
    const began = stops.map((gaps) => gaps.at(-1) ?? 0);
    const apart = Math.max(...began) - Math.min(...began);
    assert.ok(apart < TOGETHER_SECONDS, `stopped ${apart} s apart: ${began.join(' ')}`);

    const newPod = { name: 'copy', nodeName: 'node-b' };
    await scene.restore('back', 'one', { target: { type: 'NewPod', newPod } });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    const copy = await scene.pod('copy');
    assert.ok(isPodReady(copy));
    const statuses = [
      ...(copy.status?.initContainerStatuses ?? []),
      ...(copy.status?.containerStatuses ?? []),
    ];
    assert.ok(!statuses.some(({ name }) => name === 'prepare'), 'the init container is not there');
    for (const name of NAMES) {
      const status = statuses.find((one) => one.name === name);
      assert.equal(status?.restartCount, 0, name);
    }
    assert.equal(await read(scene, 'copy', '/shared/prepared'), 'once\n');
    assert.equal(await read(scene, 'copy', '/memory/token'), 'in memory');
    for (const name of NAMES) {
      const before = await beats(scene, 'copy', name);
      const numbers = await eventually(
        `${name} counts on`,
        () => beats(scene, 'copy', name),
        (now) => now.length > before.length + 10,
      );
      const expected = numbers.map((_, index) => index + 1);
      assert.deepEqual(numbers, expected, `${name} goes on in its file where it was`);
    }
    await scene.leave();
  });
});
