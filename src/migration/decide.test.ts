// What the controller does next for a Migration that goes well, as tables, and what it refuses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node } from '../cluster/types.ts';
import { claim, migration, node, pod, time } from '../testing/builders.ts';
import {
  acceptedMigration,
  condition,
  itsCheckpoint,
  itsNewPod,
  itsRestore,
  migrationFacts,
} from '../testing/migration-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideMigration } from './decide.ts';
import type { MigrationFacts } from './facts.ts';
import { newPodName } from './made-objects.ts';

function check(base: Partial<MigrationFacts>, cases: readonly StepCase<MigrationFacts>[]): void {
  checkSteps((changes) => decideMigration(migrationFacts({ ...base, ...changes })), cases);
}

const owner = (kind: string) => ({
  ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'redis-5f', uid: 'o', controller: true }],
});

describe('a Migration that is new', () => {
  const arm: Node = { ...node('node-b'), status: { nodeInfo: { architecture: 'arm64' } } };
  const rival = migration({}, undefined, { name: 'rival', uid: 'r', creationTimestamp: time(-9) });
  const younger = { ...rival, metadata: { ...rival.metadata, creationTimestamp: time(5) } };
  const old = { creationTimestamp: time(-60) };
  const alone = claim({ status: { phase: 'Bound', accessModes: ['ReadWriteOnce'] } });
  const withScratch = pod({ volumes: [{ name: 'scratch', emptyDir: {} }] });
  check({}, [
    {
      what: 'no finalizer',
      facts: { migration: migration({}, undefined, { finalizers: [] }) },
      step: 'add-finalizer',
    },
    { what: 'all is well', facts: {}, step: 'accept' },
    { what: 'of a Deployment', facts: { pod: pod({}, owner('ReplicaSet')) }, step: 'accept' },
    { what: 'no pod, but just created', facts: { pod: undefined }, step: 'wait Pending' },
    {
      what: 'no pod',
      facts: { pod: undefined, migration: migration({}, undefined, old) },
      step: 'fail PodNotFound',
      says: /spec\.podRef\.name/,
    },
    {
      what: 'of a DaemonSet',
      facts: { pod: pod({}, owner('DaemonSet')) },
      step: 'fail OwnerUnsupported',
      says: /DaemonSet redis-5f/,
    },
    {
      what: 'of the node',
      facts: { pod: pod({ hostPID: true }) },
      step: 'fail PodUnsupported',
      says: /hostPID/,
    },
    { what: 'files in an emptyDir', facts: { pod: withScratch }, step: 'accept' },
    {
      what: 'files in an ephemeral volume',
      facts: { pod: pod({ volumes: [{ name: 'scratch', ephemeral: {} }] }) },
      step: 'fail VolumeStaysBehind',
      says: /ephemeral volume "scratch"/,
    },
    {
      what: 'files in an emptyDir that must not be left',
      facts: { pod: withScratch, migration: migration({ emptyDirContent: 'Refuse' }) },
      step: 'fail VolumeStaysBehind',
      says: /spec\.emptyDirContent.*"scratch"/,
    },
    {
      what: 'files in an emptyDir that nobody needs',
      facts: { pod: withScratch, migration: migration({ emptyDirContent: 'Discard' }) },
      step: 'accept',
    },
    {
      what: 'a volume for one node at a time',
      facts: { mounts: [{ claim: alone, volume: undefined }] },
      step: 'fail VolumeStaysBehind',
      says: /"checkpoints"/,
    },
    {
      what: 'a volume for several nodes',
      facts: { mounts: [{ claim: claim(), volume: undefined }] },
      step: 'accept',
    },
    {
      what: 'the pod is going',
      facts: { pod: pod({}, { deletionTimestamp: time(0) }) },
      step: 'fail PodNotRunning',
    },
    {
      what: 'another architecture',
      facts: { targetNode: arm },
      step: 'fail ArchMismatch',
      says: /spec\.target\.nodeName.*arm64.*amd64/,
    },
    {
      what: 'an older one is at it',
      facts: { rivals: [rival] },
      step: 'fail AlreadyMigrating',
      says: /rival/,
    },
    { what: 'a younger one waits', facts: { rivals: [younger] }, step: 'accept' },
    {
      what: 'Direct',
      facts: { migration: migration({ strategy: 'Direct' }) },
      step: 'accept',
    },
    {
      what: 'PreCopy',
      facts: { migration: migration({ strategy: 'PreCopy' }) },
      step: 'accept',
    },
    {
      what: 'PostCopy',
      facts: { migration: migration({ strategy: 'PostCopy' }) },
      step: 'fail StrategyUnsupported',
      says: /spec\.strategy: PostCopy/,
    },
    {
      what: 'cancelled',
      facts: { migration: migration({ cancel: true }) },
      step: 'fail Canceled',
    },
    {
      what: 'deleted',
      facts: { migration: migration({}, undefined, { deletionTimestamp: time(0) }) },
      step: 'remove-finalizer',
    },
  ]);

  it('gives the new pod a name like its siblings have, and no longer one each time', () => {
    const named = { 'diapause.dev/first-name': 'redis' };
    assert.equal(newPodName(migration(), pod()), 'redis-ab12c');
    assert.equal(
      newPodName(migration(), pod({}, { annotations: named, name: 'redis-x' })),
      'redis-ab12c',
    );
    assert.equal(newPodName(migration(), pod({}, owner('ReplicaSet'))), 'redis-5f-ab12c');
    assert.equal(newPodName(migration({ newPodName: 'other' }), pod()), 'other');
  });
});

describe('a Migration on its way', () => {
  const prepared = [condition('Accepted'), condition('Ready', 'False', 'Prepared')];
  const suspended = itsCheckpoint(prepared, { suspend: true });
  const storing = itsCheckpoint([condition('Ready', 'False', 'Storing')]);
  const stored = itsCheckpoint([condition('Ready', 'True', 'Completed')]);
  const placed = itsRestore([condition('Placed')]);
  const restored = itsRestore([condition('Placed'), condition('ProcessesRestored')]);
  const ready = itsRestore([
    condition('ProcessesRestored'),
    condition('Ready', 'True', 'Completed'),
  ]);
  const fresh = acceptedMigration();
  const { checkpointName: _c, restoreName: _r, ...nothingMade } = fresh.status ?? {};
  check({ migration: fresh }, [
    {
      what: 'nothing is made yet',
      facts: { migration: { ...fresh, status: nothingMade } },
      step: 'create-checkpoint',
    },
    {
      what: 'the Checkpoint is made',
      facts: {
        migration: { ...fresh, status: { ...nothingMade, checkpointName: 'away' } },
        checkpoint: suspended,
      },
      step: 'create-restore',
    },
    {
      what: 'the source is not prepared',
      facts: { checkpoint: itsCheckpoint([], { suspend: true }), restore: placed },
      step: 'wait StartingTarget',
      says: /the source/,
    },
    {
      what: 'the new pod is not there',
      facts: { checkpoint: suspended, restore: itsRestore([]) },
      step: 'wait StartingTarget',
      says: /the new pod/,
    },
    {
      what: 'both are prepared',
      facts: { checkpoint: suspended, restore: placed },
      step: 'start-dump',
    },
    {
      what: 'it was told to start just now',
      facts: { checkpoint: itsCheckpoint(prepared), restore: placed },
      step: 'wait Dumping',
    },
    { what: 'storing', facts: { checkpoint: storing, restore: placed }, step: 'wait Storing' },
    { what: 'stored', facts: { checkpoint: stored, restore: placed }, step: 'wait Restoring' },
    {
      what: 'restored',
      facts: { checkpoint: stored, restore: restored },
      step: 'wait WaitingForPodReady',
    },
    {
      what: 'the new pod is ready',
      facts: { checkpoint: stored, restore: ready },
      step: 'begin-release',
    },
    {
      what: 'the source is gone meanwhile, and cancelled: forward is the only way',
      facts: {
        migration: { ...fresh, spec: { ...fresh.spec, cancel: true } },
        pod: undefined,
        checkpoint: stored,
        restore: placed,
      },
      step: 'wait Restoring',
    },
  ]);
});

describe('a Migration that is being released', () => {
  const releasing = acceptedMigration({ conditions: [condition('SourceReleased', 'False')] });
  const replica = acceptedMigration({
    source: { podUID: 'pod-1', node: 'node-a', ownerKind: 'ReplicaSet', ownerName: 'redis-5f' },
    conditions: [condition('SourceReleased', 'False')],
  });
  const rank = { 'controller.kubernetes.io/pod-deletion-cost': '-2147483648' };
  const labels = { app: 'redis', 'pod-template-hash': '5f' };
  const ranked = pod(
    {},
    { annotations: rank, labels: { ...labels, 'diapause.dev/role': 'restored' } },
  );
  const longAgo = { ...condition('SourceReleased', 'False'), lastTransitionTime: time(-10) };
  const later = {
    ...replica,
    status: { ...replica.status, conditions: [condition('Accepted'), longAgo] },
  };
  const going = (seconds: number) =>
    pod({}, { deletionTimestamp: time(0), deletionGracePeriodSeconds: seconds });
  const told = { ...releasing, spec: { ...releasing.spec, cancel: true } };
  check({ migration: releasing, newPod: itsNewPod(), restore: itsRestore([condition('Ready')]) }, [
    { what: 'a bare pod', facts: {}, step: 'end-source' },
    { what: 'cancelled too late', facts: { migration: told }, step: 'end-source' },
    { what: 'the source is going', facts: { pod: going(1) }, step: 'wait ReleasingSource' },
    { what: 'the source is going slowly', facts: { pod: going(30) }, step: 'end-source' },
    { what: 'the source is gone', facts: { pod: undefined }, step: 'finish' },
    {
      what: 'the new pod went away',
      facts: { newPod: undefined },
      step: 'give-up TargetLost',
    },
    {
      what: 'the new pod ended',
      facts: { newPod: itsNewPod({}, 'Failed') },
      step: 'give-up TargetLost',
    },
    { what: 'a replica', facts: { migration: replica }, step: 'rank-source' },
    {
      what: 'a replica, ranked',
      facts: { migration: replica, pod: ranked },
      step: 'hand-over',
    },
    {
      what: 'a replica, handed over',
      facts: { migration: replica, pod: ranked, newPod: itsNewPod({ labels }) },
      step: 'wait ReleasingSource',
    },
    {
      what: 'a replica that its ReplicaSet does not remove',
      facts: { migration: later, pod: ranked, newPod: itsNewPod({ labels }) },
      step: 'end-source',
    },
  ]);

  it('gives the new pod the labels of its siblings, not those of an earlier migration', () => {
    const step = decideMigration(
      migrationFacts({
        migration: replica,
        pod: ranked,
        newPod: itsNewPod(),
        restore: itsRestore([condition('Ready')]),
      }),
    );
    assert.ok(step.do === 'hand-over');
    assert.deepEqual(step.labels, labels);
  });
});
