// Real interpreters and runtimes, all in one pod: saved at one instant, and each counts on, here and in the new pod.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Container } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertUnharmed } from './testing/expectations.ts';
import { loadImages } from './testing/load-images.ts';
import { Scene, verdict } from './testing/scene.ts';
import { PROGRAM_IMAGES } from './testing/server-images.ts';
import { witness } from './testing/witness.ts';

const { gunicorn, node, go, jvm, scripts, openmp } = PROGRAM_IMAGES;
const ERLANG = `{ok, M, B} = compile:file("/app/counter", [binary]), code:load_binary(M, "counter", B), counter:main().`;

const PROGRAMS: readonly Pick<Container, 'name' | 'image' | 'command'>[] = [
  { name: 'cpython', image: gunicorn.reference, command: ['/usr/bin/python3', '/app/counter.py'] },
  { name: 'node', image: node.reference, command: ['node', '/app/counter.cjs'] },
  {
    name: 'openjdk',
    image: jvm.reference,
    command: ['/usr/lib/jvm/default-java/bin/java', '-Xmx64m', '/app/Counter.java'],
  },
  { name: 'go', image: go.reference, command: ['/app/counter'] },
  { name: 'ruby', image: scripts.reference, command: ['ruby', '/app/counter.rb'] },
  { name: 'perl', image: scripts.reference, command: ['perl', '/app/counter.pl'] },
  {
    name: 'beam',
    image: scripts.reference,
    command: ['/usr/bin/sh', '/usr/lib/erlang/bin/erl', '-noshell', '-eval', ERLANG],
  },
  { name: 'openmp', image: openmp.reference, command: ['/app/counter-openmp'] },
];

const cluster = connect();

interface Counted {
  readonly first: number;
  readonly last: number;
  readonly digest: string;
}

/** What a container printed. @throws AssertionError unless it is numbers in order, with one digest */
async function counted(scene: Scene, pod: string, container: string): Promise<Counted> {
  const log = await scene.kubectl.run(['logs', pod, '-c', container]);
  // The last line may be half written.
  const lines = log.split('\n').slice(0, -1);
  const found = lines.map((line) => /^count (\d+) (.+)$/.exec(line));
  assert.ok(found.every(Boolean), `${container}: ${lines.find((_, i) => !found[i])}`);
  const first = Number(found[0]?.[1] ?? 0);
  const digest = found[0]?.[2] ?? '';
  found.forEach((match, index) => {
    const expected = [String(first + index), digest];
    assert.deepEqual(match?.slice(1), expected, `${container}, line ${index + 1}`);
  });
  return { first, last: first + found.length - 1, digest };
}

async function countedAtLeast(
  scene: Scene,
  pod: string,
  lines: number,
): Promise<Map<string, Counted>> {
  const entries = PROGRAMS.map(async ({ name }) => {
    const so = await eventually(
      `${name} in ${pod} prints ${lines} lines`,
      () => counted(scene, pod, name),
      ({ first, last }) => first > 0 && last - first + 1 >= lines,
    );
    return [name, so] as const;
  });
  return new Map(await Promise.all(entries));
}

describe('real programs on the real cluster', () => {
  before(async () => {
    for (const line of await loadImages(Object.values(PROGRAM_IMAGES))) console.log(line);
  });

  it('eight of them in one pod count on', async () => {
    await using scene = await Scene.create(cluster, 'programs');
    const manifest = witness({ name: 'programs' });
    const [main] = manifest.spec.containers;
    assert.ok(main);
    const containers = PROGRAMS.map((program) => ({ ...main, ...program }));
    const [source] = await scene.run({ ...manifest, spec: { ...manifest.spec, containers } });
    assert.ok(source);
    const early = await countedAtLeast(scene, 'programs', 5);
    await scene.checkpoint('one', 'programs');
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    const late = new Map<string, Counted>();
    for (const { name } of PROGRAMS) late.set(name, await counted(scene, 'programs', name));

    const target = { newPod: { name: 'copy', nodeName: 'node-b' } };
    await scene.restore('back', 'one', { target });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    const copied = await countedAtLeast(scene, 'copy', 20);
    for (const [name, { first, digest }] of copied) {
      assert.equal(digest, early.get(name)?.digest, name);
      const [from, to] = [early.get(name)?.last ?? 0, (late.get(name)?.last ?? 0) + 1];
      assert.ok(first > from && first <= to, `${name} goes on at ${first}, saved ${from} to ${to}`);
    }
    const still = await countedAtLeast(scene, 'programs', 20);
    for (const [name, { last }] of still) assert.ok(last > (late.get(name)?.last ?? 0), name);
    assertUnharmed(source, await scene.pod('programs'));
  });
});
