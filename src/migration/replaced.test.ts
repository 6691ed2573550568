// Pods whose name or count belongs to a controller: StatefulSets and Jobs. As tables, and with the whole controller.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LABELS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { findCondition } from '../../kube/conditions.ts';
import { until } from '../../kube/testing/until.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { claim, migration, NAMESPACE, node, pod, time } from '../testing/builders.ts';
import { failWith, succeed } from '../testing/fake-node.ts';
import { MigratedApplication, type SagaPoint } from '../testing/migrated-application.ts';
import {
  acceptedMigration,
  condition,
  itsCheckpoint,
  itsRestore,
  migrationFacts,
} from '../testing/migration-facts.ts';
import { ReplicaController } from '../testing/replica-controller.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideMigration } from './decide.ts';
import type { MigrationFacts } from './facts.ts';
import { madeRestore, newPodName } from './made-objects.ts';

function check(base: Partial<MigrationFacts>, cases: readonly StepCase<MigrationFacts>[]): void {
  checkSteps((changes) => decideMigration(migrationFacts({ ...base, ...changes })), cases);
}

const ownedBy = (kind: string) => ({
  ownerReferences: [{ apiVersion: 'v1', kind, name: 'redis-set', uid: 'o', controller: true }],
});
const source = (kind: 'StatefulSet' | 'Job') => ({
  podUID: 'pod-1',
  node: 'node-a',
  ownerKind: kind,
  ownerName: 'redis-set',
});
const ofSet = acceptedMigration({ source: source('StatefulSet'), target: { podName: 'redis' } });
const adoption = {
  ownerUID: 'o',
  podName: 'redis',
  selector: {},
  labels: {},
  annotations: {},
  spec: {},
};
const awaited = (inForce = true): Restore => {
  const made = itsRestore([condition('Ready', 'False', 'WaitingForReplica')]);
  return {
    ...made,
    status: { ...made.status, pod: { name: 'redis' }, adoption: { ...adoption, inForce } },
  };
};
const stored = itsCheckpoint([condition('Ready', 'True', 'Completed')]);

describe('a Migration of a replica with a name or a count', () => {
  const set = pod({}, ownedBy('StatefulSet'));
  const alone = claim({ status: { phase: 'Bound', accessModes: ['ReadWriteOnce'] } });
  check({ pod: set }, [
    { what: 'of a StatefulSet', facts: {}, step: 'accept' },
    { what: 'of a Job', facts: { pod: pod({}, ownedBy('Job')) }, step: 'accept' },
    {
      what: 'with a claim for one node at a time',
      facts: { mounts: [{ claim: alone, volume: undefined }] },
      step: 'accept',
    },
    {
      what: 'without the policy',
      facts: { adoptionInstalled: false },
      step: 'fail AdoptionUnavailable',
      says: /spec\.podRef.*StatefulSet redis-set.*diapause-adoption/,
    },
    {
      what: 'of a Deployment, without the policy',
      facts: { adoptionInstalled: false, pod: pod({}, ownedBy('ReplicaSet')) },
      step: 'accept',
    },
    {
      what: 'another name for a StatefulSet',
      facts: { migration: migration({ newPodName: 'other' }) },
      step: 'fail OwnerUnsupported',
      says: /spec\.newPodName/,
    },
    { what: 'in an update', facts: { updating: true }, step: 'wait Pending', says: /updated/ },
  ]);

  it('keeps the name in a StatefulSet, and asks for the next replica', () => {
    assert.equal(newPodName(migration(), set), 'redis');
    assert.equal(newPodName(migration(), pod({}, ownedBy('Job'))), 'redis-set-ab12c');
    const { spec } = madeRestore(ofSet, set, node());
    assert.equal(spec.placement, 'AfterCheckpoint');
    assert.deepEqual(spec.target, {
      type: 'Adopt',
      adopt: {
        ownerRef: { kind: 'StatefulSet', name: 'redis-set' },
        podName: 'redis',
        nodeName: 'node-b',
      },
    });
  });

  const suspended = itsCheckpoint([condition('Ready', 'False', 'Prepared')], { suspend: true });
  const restore = itsRestore([]);
  check({ migration: ofSet, checkpoint: suspended, restore }, [
    { what: 'prepared: nothing waits beside the source', facts: {}, step: 'start-dump' },
    {
      what: 'the target is not ready',
      facts: { targetNode: node('node-b', false) },
      step: 'wait StartingTarget',
      says: /node-b/,
    },
    { what: 'no agent there', facts: { agents: [] }, step: 'wait StartingTarget', says: /agent/ },
    { what: 'stored', facts: { checkpoint: stored }, step: 'wait ReleasingSource' },
    {
      what: 'stored, the policy does not know yet',
      facts: { checkpoint: stored, restore: awaited(false) },
      step: 'wait ReleasingSource',
    },
    {
      what: 'stored, the next replica is awaited',
      facts: { checkpoint: stored, restore: awaited() },
      step: 'begin-release',
    },
  ]);
});

describe('the release of a replica with a name or a count', () => {
  const released = { conditions: [condition('SourceReleased', 'False')] };
  const set = acceptedMigration({ source: source('StatefulSet'), ...released });
  const job = acceptedMigration({ source: source('Job'), ...released });
  const counted = pod({}, { finalizers: ['batch.kubernetes.io/job-tracking'] });
  const going = (seconds: number) =>
    pod({}, { deletionTimestamp: time(0), deletionGracePeriodSeconds: seconds });
  const told = { ...set, spec: { ...set.spec, cancel: true } };
  const toldJob = { ...job, spec: { ...job.spec, cancel: true } };
  const failed = itsRestore([condition('Failed', 'True', 'PodRejected')]);
  const ready = itsRestore([condition('Ready', 'True', 'Completed')]);
  check({ migration: set, checkpoint: stored, restore: awaited() }, [
    { what: 'of a StatefulSet', facts: {}, step: 'end-source' },
    { what: 'of a Job', facts: { migration: job, pod: counted }, step: 'uncount-source' },
    { what: 'of a Job, not counted any more', facts: { migration: job }, step: 'end-source' },
    { what: 'cancelled in time', facts: { migration: told }, step: 'give-up Canceled' },
    { what: 'cancelled, not counted any more', facts: { migration: toldJob }, step: 'end-source' },
    { what: 'the Restore has failed', facts: { restore: failed }, step: 'give-up PodRejected' },
    { what: 'it waits no more', facts: { restore: itsRestore([]) }, step: 'give-up TargetLost' },
    { what: 'the source is going', facts: { pod: going(1) }, step: 'wait ReleasingSource' },
    { what: 'the source is going slowly', facts: { pod: going(30) }, step: 'end-source' },
    { what: 'the source is gone', facts: { pod: undefined }, step: 'wait Restoring' },
    {
      what: 'cancelled too late',
      facts: { pod: undefined, migration: told },
      step: 'wait Restoring',
    },
    { what: 'the new pod is ready', facts: { pod: undefined, restore: ready }, step: 'finish' },
    {
      what: 'the Restore failed after that',
      facts: { pod: undefined, restore: failed },
      step: 'fail TargetLost',
      says: /Checkpoint away keeps/,
    },
    {
      what: 'the Restore was deleted after that',
      facts: { pod: undefined, restore: undefined },
      step: 'fail TargetLost',
    },
  ]);
});

async function begin(
  kind: 'StatefulSet' | 'Job',
  fault?: ConstructorParameters<typeof MigratedApplication>[1],
) {
  const cluster = await SmallCluster.start();
  const owner = await ReplicaController.own(cluster, kind);
  const application = new MigratedApplication(cluster, fault);
  cluster.alsoRun(owner);
  return { cluster, owner, application };
}

/** Between the end of the source and the replica neither runs; both never do. */
function bothRan({ history }: MigratedApplication): readonly string[] {
  return history.filter((line) => line === 'source running, target running');
}

const POINTS: readonly SagaPoint[] = ['dumping', 'frozen', 'restoring', 'committed', 'restored'];

describe('the whole controller', { concurrency: 3 }, () => {
  for (const kind of ['StatefulSet', 'Job'] as const) {
    it(`moves the pod of a ${kind} through its next replica`, async () => {
      const { cluster, owner, application } = await begin(kind);
      await using _end = cluster;
      const before = cluster.pod('redis')?.metadata.uid;
      cluster.createMigration();
      await cluster.untilReason(() => cluster.migration(), 'Completed');
      assert.deepEqual(application.running, ['target']);
      assert.deepEqual(bothRan(application), []);
      assert.equal(owner.made.length, 1, 'one replica and no other');
      assert.equal(owner.failed, 0);
      const name = cluster.migration()?.status?.target?.podName ?? '';
      assert.match(name, kind === 'Job' ? /^redis-set-[0-9a-f]{5}$/ : /^redis$/);
      const successor = cluster.pod(name);
      assert.notEqual(successor?.metadata.uid, before);
      assert.equal(successor?.metadata.labels?.[LABELS.role], 'restored');
      assert.equal(successor?.spec.nodeName, 'node-b');
      assert.equal(cluster.restore('away')?.metadata.labels?.[LABELS.waiting], undefined);
      assert.equal(cluster.restore('away')?.status?.adoption, undefined);
      await until('no task is left', () => cluster.tasks().length === 0);
    });
  }

  for (const at of POINTS) {
    it(`goes on where it was when it dies (${at})`, async () => {
      const { cluster, owner, application } = await begin('StatefulSet', {
        at,
        does: async () => {
          await cluster.stopController();
          cluster.startController();
        },
      });
      await using _end = cluster;
      cluster.createMigration();
      await cluster.untilReason(() => cluster.migration(), 'Completed');
      assert.deepEqual(application.running, ['target']);
      assert.deepEqual(bothRan(application), []);
      assert.equal(owner.made.length, 1);
    });
  }

  it('lets the source go on when it is cancelled before its end', async () => {
    const { cluster, owner, application } = await begin('Job', {
      at: 'frozen',
      does: async () => {
        const migrations = cluster.server.client().resource(RESOURCE_TYPES.migrations);
        await migrations.mergePatch(
          { namespace: NAMESPACE, name: 'away' },
          { spec: { cancel: true } },
        );
      },
    });
    await using _end = cluster;
    cluster.createMigration();
    await cluster.untilReason(() => cluster.migration(), 'Canceled');
    assert.deepEqual(application.running, ['source']);
    assert.deepEqual([owner.made.length, owner.failed], [0, 0]);
    const finalizers = cluster.pod('redis')?.metadata.finalizers;
    assert.deepEqual(finalizers, ['batch.kubernetes.io/job-tracking']);
    await until('disarmed', () => {
      const { metadata, status } = cluster.restore('away') ?? {};
      return metadata?.labels?.[LABELS.waiting] === undefined && status?.adoption === undefined;
    });
  });

  it('keeps the Checkpoint when the next replica cannot be restored', async () => {
    const { cluster, owner } = await begin('StatefulSet');
    await using _end = cluster;
    for (const one of cluster.nodes) {
      one.agent = (task) =>
        task.spec.type === 'Restore' ? failWith('BundleCorrupt')(task) : succeed(task);
    }
    cluster.createMigration();
    await cluster.untilReason(() => cluster.migration(), 'TargetLost');
    const failed = findCondition(cluster.migration()?.status?.conditions, 'Failed');
    assert.match(failed?.message ?? '', /Checkpoint away keeps what it was/);
    assert.ok(cluster.checkpoint('away'));
    await until('an ordinary replica', () => owner.made.length === 2);
    assert.equal(owner.made[1]?.metadata.labels?.[LABELS.restoreUid], undefined);
  });

  it('tries once more with another replica', async () => {
    const { cluster, owner } = await begin('Job');
    await using _end = cluster;
    let tries = 0;
    for (const one of cluster.nodes) {
      one.agent = (task) =>
        task.spec.type === 'Restore' && (tries += 1) === 1
          ? failWith('EngineFailed', 'for once', true)(task)
          : succeed(task);
    }
    cluster.createMigration();
    await cluster.untilReason(() => cluster.migration(), 'Completed');
    assert.equal(owner.made.length, 2);
    assert.ok(owner.made.every(({ metadata }) => metadata.labels?.[LABELS.restoreUid]));
    assert.equal(owner.failed, 0);
  });

  it('refuses by name without the policy, before anything is stopped', async () => {
    await using cluster = await SmallCluster.start();
    await ReplicaController.own(cluster, 'StatefulSet', { withPolicy: false });
    const application = new MigratedApplication(cluster);
    cluster.createMigration();
    await cluster.untilReason(() => cluster.migration(), 'AdoptionUnavailable');
    assert.deepEqual(application.history, []);
    assert.equal(cluster.checkpoint('away'), undefined);
  });
});
