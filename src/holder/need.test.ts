// Whether a volume can be reached on a node, and when holders end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '../cluster/pod.ts';
import { claim, INIT_IMAGE, NOW } from '../testing/builders.ts';
import { dump } from '../testing/checkpoint-facts.ts';
import { holder, startingHolder } from '../testing/holders.ts';
import { type HolderFacts, holderNeed } from './need.ts';
import { decideHolder } from './reconciler.ts';

const onlyOnce = claim({ status: { phase: 'Bound', accessModes: ['ReadWriteOnce'] } });

function need(changes: Partial<HolderFacts>): ReturnType<typeof holderNeed> {
  return holderNeed({
    nowMillis: NOW,
    claim: claim(),
    nodeName: 'node-a',
    image: INIT_IMAGE,
    holders: [],
    tasks: [],
    ...changes,
  });
}

function ending(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-11-24T12:00:00Z' } };
}

describe('holderNeed', () => {
  it('makes a pod that passes the level restricted and goes to that node only', () => {
    const made = need({});
    assert.ok(made.need === 'create');
    const { spec, metadata } = made.pod;
    assert.match(metadata.name, /^diapause-holder-[0-9a-f]{16}$/);
    assert.equal(spec.automountServiceAccountToken, false);
    assert.equal(spec.terminationGracePeriodSeconds, 60);
    assert.deepEqual(spec.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.deepEqual(spec.containers[0]?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    assert.equal(spec.nodeName, undefined, 'the scheduler binds waiting claims');
    assert.match(JSON.stringify(spec.affinity), /metadata.name.*node-a/);
    assert.deepEqual(spec.volumes, [
      { name: 'store', persistentVolumeClaim: { claimName: 'checkpoints' } },
    ]);
  });

  it('is served by a running one that was used just now', () => {
    const served = need({ holders: [holder()] });
    assert.ok(served.need === 'nothing');
    assert.equal(served.holder.holder.uid, 'holder-node-a');
    assert.equal(served.holder.mountPath, '/store');
  });

  for (const [what, changes, wanted] of [
    ['one that may idle out is told first', { holders: [holder('node-a', 61)] }, 'touch'],
    ['a starting one is waited for', { holders: [startingHolder()] }, 'wait PreparingStore'],
    [
      'a slow one is reported',
      { holders: [startingHolder('node-a', 61)] },
      'wait HolderNotStarting',
    ],
    ['an ending one is waited for', { holders: [ending(holder())] }, 'wait PreparingStore'],
    ['one on another node does not matter', { holders: [holder('node-b')] }, 'create'],
    [
      'unless the volume can be at one node only',
      { holders: [holder('node-b')], claim: onlyOnce },
      'release',
    ],
    [
      'and even then it is not taken away from its user',
      { holders: [holder('node-b')], claim: onlyOnce, tasks: [usedBy('holder-node-b')] },
      'wait PreparingStore',
    ],
    ['nor twice', { holders: [ending(holder('node-b'))], claim: onlyOnce }, 'wait PreparingStore'],
  ] as const) {
    it(`${what}: ${wanted}`, () => {
      const got = need(changes);
      assert.equal(got.need === 'wait' ? `wait ${got.reason}` : got.need, wanted);
    });
  }
});

describe('decideHolder', () => {
  const at = (usedSecondsAgo: number, tasks: HolderFacts['tasks'] = []) =>
    decideHolder({ nowMillis: NOW, pod: holder('node-a', usedSecondsAgo), tasks }).do;

  it('keeps what was used lately and ends what was not', () => {
    assert.equal(at(0), 'keep');
    assert.equal(at(299), 'keep');
    assert.equal(at(300), 'end');
  });

  it('keeps what is in use, however long', () => {
    assert.equal(at(30, [usedBy('holder-node-a')]), 'keep');
    assert.equal(at(3600, [usedBy('holder-node-a')]), 'renew');
    assert.equal(at(3600, [usedBy('holder-node-b')]), 'end');
    assert.equal(at(3600, [usedBy('holder-node-a', 'Succeeded')]), 'end');
  });

  it('ends what has ended', () => {
    const failed = { ...holder(), status: { phase: 'Failed' } };
    assert.equal(decideHolder({ nowMillis: NOW, pod: failed, tasks: [] }).do, 'end');
  });
});

function usedBy(uid: string, state: 'Running' | 'Succeeded' = 'Running'): ReturnType<typeof dump> {
  const task = dump({ state });
  const store = task.spec.type === 'Dump' ? task.spec.dump.store : undefined;
  if (task.spec.type !== 'Dump' || store === undefined) {
    throw new Error('no Dump to a store');
  }
  const dumping = { ...task.spec.dump, store: { ...store, holder: { ...store.holder, uid } } };
  return { ...task, spec: { ...task.spec, dump: dumping } };
}
