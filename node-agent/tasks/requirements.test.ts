import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest, ManifestContainer } from '../bundle/manifest.ts';
import { testManifest } from '../bundle/testing/volume.ts';
import {
  assertConnectionsStay,
  assertNoShortcomings,
  digestOf,
  factsOfThisNode,
  type NodeFacts,
  shortcomings,
  type TargetContainer,
} from './requirements.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const SAVED: ManifestContainer = {
  name: 'app',
  imageID: `docker.io/library/redis@${DIGEST}`,
  processes: 1,
  threads: 5,
  memoryBytes: 1000,
  rootfsDiffBytes: 0,
  mounts: ['/data'],
};
const MANIFEST: Manifest = {
  ...testManifest([]),
  containers: [SAVED],
  requirements: {
    ...testManifest([]).requirements,
    arch: 'x64',
    cpuFlags: ['avx2', 'sse4_2', 'constant_tsc', 'ibrs'],
    monotonicNanos: '5000000000',
    boottimeNanos: '7000000000',
  },
};
const NODE: NodeFacts = {
  arch: 'x64',
  kernelRelease: '6.1.0-13-amd64',
  cpuFlags: new Set(['avx2', 'sse4_2', 'avx512f']),
  monotonicNanos: 6_000_000_000n,
  boottimeNanos: 7_000_000_000n,
};
const TARGET: TargetContainer = {
  name: 'app',
  imageID: DIGEST,
  memoryLimitBytes: 1000,
  pidsLimit: 5,
  mountPoints: new Set(['/data', '/etc/hosts']),
};

const codes = (node: Partial<NodeFacts>, target: Partial<TargetContainer> = {}): string[] =>
  shortcomings(MANIFEST, { ...NODE, ...node }, [{ ...TARGET, ...target }]).map(({ code }) => code);

test('a node and a pod that have everything', () => {
  assert.deepEqual(codes({}), []);
  assert.deepEqual(codes({}, { memoryLimitBytes: undefined, pidsLimit: undefined }), []);
  assert.deepEqual(codes({}, { imageID: 'no digest in here' }), []);
});

for (const [what, node, target, expected] of [
  ['another architecture', { arch: 'arm64' }, {}, 'ArchMismatch'],
  ['an old kernel', { kernelRelease: '5.4.0' }, {}, 'KernelTooOld'],
  ['a kernel that is just too old', { kernelRelease: '5.9.16' }, {}, 'KernelTooOld'],
  ['no AVX2', { cpuFlags: new Set(['sse4_2']) }, {}, 'CpuFeatureMissing'],
  ['an earlier clock', { monotonicNanos: 4_999_999_999n }, {}, 'ClockEarlier'],
  ['an earlier boot clock', { boottimeNanos: 6_999_999_999n }, {}, 'ClockEarlier'],
  ['another image', {}, { imageID: `x@sha256:${'b'.repeat(64)}` }, 'ImageMismatch'],
  ['a missing mount', {}, { mountPoints: new Set<string>() }, 'MountMismatch'],
  ['too little memory', {}, { memoryLimitBytes: 999 }, 'LimitTooSmall'],
  ['too few pids', {}, { pidsLimit: 4 }, 'LimitTooSmall'],
  ['no such container', {}, { name: 'other' }, 'ContainerNotFound'],
] as const) {
  test(`refused: ${what}`, () => assert.deepEqual(codes(node, target), [expected]));
}

test('all shortcomings are in the report, the most fundamental is the failure', () => {
  const found = shortcomings(MANIFEST, { ...NODE, arch: 'arm64' }, [{ ...TARGET, pidsLimit: 1 }]);
  assert.throws(
    () => assertNoShortcomings(found),
    (error: { code: string; report: unknown[] }) => {
      assert.equal(error.code, 'ArchMismatch');
      assert.equal(error.report.length, 2);
      return true;
    },
  );
  assert.doesNotThrow(() => assertNoShortcomings([]));
});

test('digests are found whatever stands before them', () => {
  assert.equal(digestOf(`containerd://x@${DIGEST}`), DIGEST);
  assert.equal(digestOf('redis:7'), undefined);
});

test('this node tells its facts', () => {
  const facts = factsOfThisNode();
  assert.ok(facts.cpuFlags.has('sse2') || facts.arch !== 'x64');
  assert.ok(facts.monotonicNanos > 0n);
  // Both stand still or go on together, unless the machine sleeps.
  assert.ok(facts.boottimeNanos > facts.monotonicNanos - 1_000_000_000n);
});

test('connections to others are in the pod that was saved, and nowhere else', () => {
  const connections = ['10.0.0.5:6379 -> 10.0.0.9:40404', '10.0.0.5:6379 -> 10.0.0.9:40405'];
  const manifest = { ...MANIFEST, requirements: { ...MANIFEST.requirements, connections } };
  assertConnectionsStay(MANIFEST, false);
  assertConnectionsStay(manifest, true);
  assert.throws(() => assertConnectionsStay(manifest, false), {
    code: 'ConnectionsStay',
    message: /10\.0\.0\.5:6379 -> 10\.0\.0\.9:40404 \(and 1 more\)/,
  });
});
