// Checkpoints that cannot be: each is refused with a reason and advice, nothing stays behind, and every source runs on.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { REFUSED } from '../../crds/testing/refused.ts';
import type { CheckpointSpec } from '../../crds/checkpoint.ts';
import type { Report, TypedObject } from '../../crds/meta.ts';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import { futex, type FutexFacts, judgeWaiting } from '../../deploy/demo/futex.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import type { Pod } from '../../src/cluster/pod.ts';
import { RESOURCE_TYPES } from '../../src/cluster/types.ts';
import { heavy, hostPidPod, oddPod, prepareVolumes, uselessPods } from './testing/bad-sources.ts';
import { connect } from './testing/cluster.ts';
import { assertFailed, assertHolds, assertUnharmed } from './testing/expectations.ts';
import { loadOddImage } from './testing/odd-images.ts';
import { Scene } from './testing/scene.ts';
import { witness } from './testing/witness.ts';

interface BadCheckpoint {
  readonly what: string;
  /** default: the witness, which can be saved */
  readonly pod?: string;
  readonly containers?: readonly string[];
  readonly uid?: string;
  readonly spec?: Partial<CheckpointSpec>;
  readonly says: RegExp;
  /** an entry that the report must have */
  readonly report?: Partial<Report>;
}

/** Long enough for a busy controller to have looked. */
const SHORT_SECONDS = 12;

const CASES: readonly BadCheckpoint[] = [
  { what: 'a pod that does not exist', pod: 'nobody', says: /^PodNotFound: pod "nobody"/ },
  { what: 'a pod that has ended', pod: 'ended', says: /^PodNotRunning: .*Succeeded/ },
  {
    what: 'a pod that never starts',
    pod: 'unschedulable',
    spec: { limits: { timeoutSeconds: SHORT_SECONDS } },
    says: /^TimedOut: .*phase is Pending/,
  },
  { what: 'another pod of that name', uid: 'another', says: /^PodChanged: .*another/ },
  { what: 'a pod in the host pid namespace', pod: 'host-pid', says: /^PodUnsupported: .*hostPID/ },
  {
    what: 'a container that does not exist',
    containers: ['other'],
    says: /^ContainerNotFound: .*"other".*main/,
  },
  {
    what: 'a container with an io_uring',
    pod: 'odd',
    containers: ['io-uring'],
    says: /^Unsupported: .*io-uring.*IoUring/,
    report: { severity: 'refusal', code: 'IoUring', container: 'io-uring', pid: 1 },
  },
  {
    what: 'a 32-bit program',
    pod: 'odd',
    containers: ['compat'],
    says: /^Unsupported: .*32-bit/,
    report: { severity: 'refusal', code: 'Compat32Bit', container: 'compat', pid: 1 },
  },
  {
    what: 'a dry run of it',
    pod: 'odd',
    spec: { mode: 'DryRun' },
    says: /^Unsupported: .*container compat/,
    report: { code: 'Compat32Bit', container: 'compat' },
  },
  { what: 'a store that does not exist', spec: store('none'), says: /^StoreNotFound: .*"none"/ },
  { what: 'a claim that does not exist', spec: store('no-claim'), says: /^ClaimNotFound: / },
  {
    what: 'a claim without a volume',
    // No other Checkpoint of this pod keeps it waiting.
    pod: 'lonely',
    spec: { ...store('unbound'), limits: { timeoutSeconds: SHORT_SECONDS } },
    says: /^TimedOut: .*claim "unbound" is not bound/,
  },
  {
    what: 'a claim for reading only',
    spec: store('read-many'),
    says: /^ClaimReadOnly: .*ReadOnlyMany/,
  },
  { what: 'a volume mounted read-only', spec: store('read-only'), says: /^StoreReadOnly: / },
  {
    what: 'a volume smaller than the memory',
    pod: 'ballast',
    spec: store('tiny'),
    says: /^StoreFull: .*bytes left/,
  },
  {
    what: 'a volume that fills up in the middle',
    pod: 'ballast',
    spec: store('small'),
    says: /^StoreFull: /,
  },
  {
    what: 'a budget that is too small',
    pod: 'ballast',
    spec: { limits: { maxBytes: '1Mi' } },
    says: /^BudgetExceeded: /,
  },
];

function store(name: string): Partial<CheckpointSpec> {
  return { storeRef: { name } };
}

const cluster = connect();
const app = futex();

describe('a Checkpoint of what cannot be saved', { concurrency: 6 }, () => {
  let scene: Scene;
  let sources: readonly Pod[];
  let said: FutexFacts;
  const stack = new AsyncDisposableStack();

  before(async () => {
    await loadOddImage();
    scene = stack.use(await Scene.create(cluster, 'bad-checkpoint', { level: 'privileged' }));
    await prepareVolumes(scene, stack);
    await scene.kubectl.apply(toYaml(...uselessPods()));
    const lonely = witness({ name: 'lonely' });
    sources = await scene.run(witness(), lonely, oddPod(), heavy, hostPidPod());
    said = await app.observe(scene.kubectl, 'witness');
  });

  for (const [index, bad] of CASES.entries()) {
    it(`${bad.what}: ${String(bad.says).slice(2, 20)}`, async () => {
      const { pod = 'witness', containers, uid, spec } = bad;
      const source = { pod: { name: pod, ...(containers && { containers }), ...(uid && { uid }) } };
      await scene.checkpoint(`bad-${index}`, pod, { ...spec, source });
      const ended = await scene.settledCheckpoint(`bad-${index}`);
      assertFailed(ended, bad.says);
      assert.equal(ended.status?.bundle, undefined);
      const { report } = bad;
      if (report !== undefined) {
        const found = ended.status?.report?.find(({ code }) => code === report.code);
        assert.deepEqual({ ...found, ...report }, found, 'the report names it');
        assert.ok((found?.message ?? '').length > 10);
      }
    });
  }

  after(async () => {
    try {
      await scene.untilNothingIsLeft([]);
      for (const source of sources) {
        assertUnharmed(source, await scene.pod(source.metadata.name));
      }
      assertHolds(judgeWaiting(said, await app.observe(scene.kubectl, 'witness')));
    } finally {
      await stack.disposeAsync();
    }
  });
});

const TYPES = {
  Checkpoint: RESOURCE_TYPES.checkpoints,
  CheckpointGroup: RESOURCE_TYPES.checkpointGroups,
  CheckpointSchedule: RESOURCE_TYPES.checkpointSchedules,
  Migration: RESOURCE_TYPES.migrations,
  Restore: RESOURCE_TYPES.restores,
  CheckpointStore: RESOURCE_TYPES.checkpointStores,
  NodeTask: RESOURCE_TYPES.nodeTasks,
} as const;

const namespaceOf = (kind: keyof typeof TYPES, scene: Scene): string =>
  kind === 'NodeTask' ? OPERATOR_NAMESPACE : scene.namespace;

describe('what the API server refuses', () => {
  it('every object that the schemas and their rules forbid', async () => {
    await using scene = await Scene.create(cluster, 'refused', { store: false });
    for (const { what, kind, object, before, says } of REFUSED) {
      const resource = cluster.client.resource<TypedObject>(TYPES[kind]);
      const apply = (one: object) => {
        const whole = one as TypedObject;
        const metadata = { ...whole.metadata, namespace: namespaceOf(kind, scene) };
        return resource.apply({ ...whole, metadata });
      };
      if (before !== undefined) {
        await apply(before);
      }
      const answer = await apply(object).then(() => 'accepted', String);
      assert.ok(answer.includes(says), `${what}: ${answer}`);
    }
  });
});
