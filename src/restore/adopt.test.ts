// A Restore that waits for the next replica of a controller, as tables, and what the replica is made into.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { LABELS } from '../../crds/names.ts';
import type { Adoption, Restore, RestoreStatus } from '../../crds/restore.ts';
import type { Pod } from '../cluster/pod.ts';
import { pod, restore } from '../testing/builders.ts';
import {
  placeholder,
  restoreFacts,
  restoreTask,
  storedCheckpoint,
} from '../testing/restore-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideRestore } from './decide.ts';
import { subjectPod } from './in-place.ts';
import { restoreStatus } from './status.ts';
import type { AdoptionFacts, RestoreFacts } from './facts.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'redis-set', uid: 'set-1' };

function check(base: Partial<RestoreFacts>, cases: readonly StepCase<RestoreFacts>[]): void {
  checkSteps((changes) => decideRestore(restoreFacts({ ...base, ...changes })), cases);
}

function ownedBy(kind: string | undefined): Checkpoint {
  const stored = storedCheckpoint();
  const { source, podTemplate, ...status } = stored.status ?? {};
  const labels = { app: 'redis', 'controller-revision-hash': 'redis-set-5f' };
  return {
    ...stored,
    status: {
      ...status,
      source: {
        podUID: 'pod-1',
        node: 'node-a',
        ...source,
        ...(kind !== undefined && { ownerKind: kind, ownerName: 'redis-set' }),
      },
      podTemplate: { metadata: { labels }, spec: podTemplate?.spec ?? {} },
    },
  };
}

const armedWith = (changes: Partial<Adoption> = {}): Adoption => ({
  ownerUID: 'set-1',
  podName: 'redis',
  selector: {},
  labels: { [LABELS.attempt]: '1' },
  annotations: {},
  spec: {},
  ...changes,
});

function adopting(status?: RestoreStatus, waiting = false): Restore {
  const made = restore(
    { target: { type: 'Adopt', adopt: { nodeName: 'node-b' } } },
    waiting ? { labels: { [LABELS.waiting]: 'true' } } : {},
  );
  return { ...made, ...(status && { status }) };
}

const sound: AdoptionFacts = {
  owner: {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'redis-set', uid: 'set-1' },
  },
  installed: true,
  occupant: pod({}, { ownerReferences: [{ ...OWNER, controller: true }] }),
  rehearsal: undefined,
};
const armed = adopting({ adoption: armedWith(), pod: { name: 'redis' } }, true);
const inForce = adopting({ adoption: armedWith({ inForce: true }), pod: { name: 'redis' } }, true);

function replica(labels: Readonly<Record<string, string>> = {}): Pod {
  const base = placeholder();
  const { [LABELS.role]: _role, ...ours } = base.metadata.labels ?? {};
  return { ...base, metadata: { ...base.metadata, name: 'redis', labels: { ...ours, ...labels } } };
}

describe('a Restore that waits for the next replica', () => {
  const named = restore({ target: { type: 'Adopt', adopt: { podName: 'redis-7' } } });
  const job = { kind: 'Job', name: 'redis-set' } as const;
  check({ restore: adopting(), checkpoint: ownedBy('StatefulSet'), adoption: sound }, [
    { what: 'all is well', facts: {}, step: 'arm-adoption' },
    {
      what: 'no policy',
      facts: { adoption: { ...sound, installed: false } },
      step: 'fail AdoptionUnavailable',
      says: /spec\.target\.type: Adopt.*diapause-adoption/,
    },
    {
      what: 'of a bare pod',
      facts: { checkpoint: ownedBy(undefined) },
      step: 'fail OwnerUnsupported',
      says: /none/,
    },
    {
      what: 'of a DaemonSet',
      facts: { checkpoint: ownedBy('DaemonSet') },
      step: 'fail OwnerUnsupported',
      says: /DaemonSet redis-set/,
    },
    {
      what: 'the controller is gone',
      facts: { adoption: { ...sound, owner: undefined } },
      step: 'fail OwnerNotFound',
      says: /spec\.target\.adopt\.ownerRef/,
    },
    {
      what: 'another ordinal',
      facts: { restore: named },
      step: 'fail OwnerUnsupported',
      says: /spec\.target\.adopt\.podName.*redis/,
    },
    {
      what: 'a stranger has the name',
      facts: { adoption: { ...sound, occupant: pod() } },
      step: 'fail PodNameTaken',
    },
    {
      what: 'of a Job, a replica has the name',
      facts: { restore: restore({ target: { type: 'Adopt', adopt: { ownerRef: job } } }) },
      step: 'fail PodNameTaken',
    },
    {
      what: 'armed, the policy does not know yet',
      facts: { restore: armed, adoption: { ...sound, rehearsal: 'NotYet' } },
      step: 'wait WaitingForReplica',
      says: /does not know/,
    },
    {
      what: 'armed, the API server refuses replicas',
      facts: { restore: armed, adoption: { ...sound, rehearsal: { refused: 'quota' } } },
      step: 'wait WaitingForReplica',
      says: /quota/,
    },
    {
      what: 'armed, the policy knows',
      facts: { restore: armed, adoption: { ...sound, rehearsal: 'Adopted' } },
      step: 'adoption-in-force',
    },
    {
      what: 'in force',
      facts: { restore: inForce },
      step: 'wait WaitingForReplica',
      says: /StatefulSet redis-set; pod redis is still there/,
    },
    {
      what: 'only the label was written',
      facts: { restore: adopting({}, true) },
      step: 'arm-adoption',
    },
    {
      what: 'the replica is there',
      facts: { restore: inForce, pod: replica() },
      step: 'take-replica',
    },
    {
      what: 'taken, not yet disarmed',
      facts: { restore: inForce, pod: replica({ [LABELS.role]: 'restored' }) },
      step: 'take-replica',
    },
    {
      what: 'taken',
      facts: {
        restore: adopting({ pod: { name: 'redis' } }),
        pod: replica({ [LABELS.role]: 'restored' }),
      },
      step: 'create-task',
    },
    {
      what: 'cancelled while it waits',
      facts: { restore: { ...inForce, spec: { ...inForce.spec, cancel: true } } },
      step: 'fail Canceled',
    },
    {
      what: 'deleted while it waits',
      facts: {
        restore: {
          ...inForce,
          metadata: { ...inForce.metadata, deletionTimestamp: '2026-11-24T12:00:00Z' },
        },
      },
      step: 'disarm-adoption',
    },
    {
      what: 'failed while it waited',
      facts: {
        restore: adopting(
          {
            conditions: [
              {
                type: 'Failed',
                status: 'True',
                reason: 'TimedOut',
                message: '',
                lastTransitionTime: '2026-11-24T12:00:00Z',
              },
            ],
          },
          true,
        ),
      },
      step: 'disarm-adoption',
    },
  ]);
});

describe('a Restore that needs another replica', () => {
  const old = replica({ [LABELS.role]: 'restored' });
  const again = { attempts: 2, pod: { name: 'redis' } };
  const secondArmed = armedWith({ labels: { [LABELS.attempt]: '2' } });
  check({ checkpoint: ownedBy('StatefulSet'), adoption: sound, pod: old }, [
    {
      what: 'its task is left',
      facts: { restore: adopting(again), task: restoreTask() },
      step: 'delete-task',
    },
    { what: 'is armed first', facts: { restore: adopting(again) }, step: 'arm-adoption' },
    {
      what: 'then the old one goes',
      facts: { restore: adopting({ ...again, adoption: { ...secondArmed, inForce: true } }, true) },
      step: 'delete-placeholder',
    },
  ]);

  it('does not wait for the old one, which may live until then', () => {
    const restore = adopting({ ...again, adoption: secondArmed }, true);
    const facts = restoreFacts({ restore, pod: old });
    assert.equal(subjectPod(facts), undefined);
    const step = { do: 'adoption-in-force' } as const;
    const { pod } = restoreStatus(restore, step, subjectPod(facts), facts.nowMillis);
    assert.equal(pod?.uid, undefined, 'its end would be taken for the loss of the new one');
  });
});

describe('what a replica is made into', () => {
  it('the placeholder of the saved pod, known by its owner, revision and name', () => {
    const step = decideRestore(
      restoreFacts({ restore: adopting(), checkpoint: ownedBy('StatefulSet'), adoption: sound }),
    );
    assert.ok(step.do === 'arm-adoption');
    const { ownerUID, podName, selector, labels, annotations, spec } = step.adoption;
    assert.deepEqual([ownerUID, podName], ['set-1', 'redis']);
    assert.deepEqual(selector, { 'controller-revision-hash': 'redis-set-5f' });
    assert.deepEqual(labels, { [LABELS.restoreUid]: 'rst-1', [LABELS.attempt]: '1' });
    assert.equal(annotations['diapause.dev/restore'], 'redis-back');
    const made = spec as unknown as Pod['spec'];
    assert.deepEqual(made.containers[0]?.command, ['/diapause/init']);
    const affinity = JSON.stringify(made.affinity);
    assert.match(affinity, /"key":"metadata.name","operator":"In","values":\["node-b"\]/);
  });
});
