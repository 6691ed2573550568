// What a schedule deletes, from real objects: Restores, holds, chains, failures, workloads.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint, CheckpointStatus } from '../../crds/checkpoint.ts';
import { findCondition } from '../../kube/conditions.ts';
import { restore, time } from '../testing/builders.ts';
import { child, schedule, scheduleFacts, watchedSince } from '../testing/schedule-facts.ts';
import { decideSchedule } from './decide.ts';
import type { ScheduleFacts } from './facts.ts';

const DONE = watchedSince(3_600, { lastScheduleTime: time(0) });
const LAST_ONE = schedule({ retention: { keepLast: 1 } }, DONE);
const young = child('young', 3_600, 'ready');
const old = child('old', 7_200, 'ready');

function withStatus(checkpoint: Checkpoint, status: CheckpointStatus): Checkpoint {
  return { ...checkpoint, status: { ...checkpoint.status, ...status } };
}

function replica(name: string, secondsAgo: number, replicaSet: string, hash: string): Checkpoint {
  const made = child(name, secondsAgo, 'ready');
  const template = { metadata: { labels: { 'pod-template-hash': hash } }, spec: {} };
  return withStatus(made, {
    source: { podUID: name, node: 'node-a', ownerKind: 'ReplicaSet', ownerName: replicaSet },
    podTemplate: template,
  });
}

function removed(facts: Partial<ScheduleFacts>): readonly string[] {
  const decided = decideSchedule(scheduleFacts({ schedule: LAST_ONE, ...facts }));
  return decided.remove.map(({ metadata }) => metadata.name);
}

describe('a schedule deletes', () => {
  it('what is beyond its retention', () => {
    assert.deepEqual(removed({ checkpoints: [old, young] }), ['old']);
  });

  it('nothing that an unfinished Restore reads', () => {
    const reading = restore({ checkpointRef: { name: 'old' } });
    assert.deepEqual(removed({ checkpoints: [old, young], restores: [reading] }), []);
    const [condition] = young.status?.conditions ?? [];
    assert.ok(condition);
    const done = { ...reading, status: { conditions: [{ ...condition, type: 'Ready' }] } };
    assert.deepEqual(removed({ checkpoints: [old, young], restores: [done] }), ['old']);
  });

  it('nothing that is held, and tells why it stays', () => {
    const held = { ...old, spec: { ...old.spec, retention: { hold: true } } };
    const facts = scheduleFacts({ schedule: LAST_ONE, checkpoints: [held, young] });
    const { remove, status } = decideSchedule(facts);
    assert.deepEqual(remove, []);
    const met = findCondition(status.conditions, 'RetentionMet');
    assert.deepEqual([met?.status, met?.reason], ['False', 'RetentionBlocked']);
    assert.match(met?.message ?? '', /old: it is held/);
  });

  it('nothing that a kept one is built on', () => {
    const built = withStatus(young, { parent: { name: 'old' } });
    assert.deepEqual(removed({ checkpoints: [old, built] }), []);
  });

  it('nothing that is not finished, or is being deleted already', () => {
    const ending = { ...old, metadata: { ...old.metadata, deletionTimestamp: time(-1) } };
    const active = child('active', 9_999);
    assert.deepEqual(removed({ checkpoints: [ending, active, young] }), []);
  });

  it('old failures but the last ones, and no failure may push a success out', () => {
    const failures = [1, 2, 3].map((hours) => child(`failed-${hours}`, hours * 3_600, 'failed'));
    assert.deepEqual(removed({ checkpoints: [...failures, child('good', 99_999, 'ready')] }), [
      'failed-2',
      'failed-3',
    ]);
  });

  it('no failure that may still keep its pod frozen', () => {
    const frozen = withStatus(child('b', 7_200, 'failed'), {
      conditions: ['Failed', 'SourceFrozen'].map((type) => ({
        ...{ type, status: 'True', reason: 'X', message: '', lastTransitionTime: time(0) },
      })),
    });
    assert.deepEqual(removed({ checkpoints: [child('a', 60, 'failed'), frozen] }), []);
  });

  it('runs of a Deployment as one, through roll-outs', () => {
    const checkpoints = [
      replica('new-1', 60, 'shop-aaa', 'aaa'),
      replica('new-2', 60, 'shop-aaa', 'aaa'),
      replica('before', 7_200, 'shop-bbb', 'bbb'),
    ];
    assert.deepEqual(removed({ checkpoints }), ['before']);
  });

  it('with the default retention all but the last three', () => {
    const checkpoints = [1, 2, 3, 4, 5].map((hours) => child(`h${hours}`, hours * 3_600, 'ready'));
    assert.deepEqual(removed({ schedule: schedule({}, DONE), checkpoints }), ['h4', 'h5']);
  });

  it('nothing while its expression cannot be read', () => {
    const broken = schedule({ schedule: '61 * * * *', retention: { keepLast: 1 } }, DONE);
    assert.deepEqual(removed({ schedule: broken, checkpoints: [old, young] }), []);
  });
});

describe('a schedule tells', () => {
  it('what it keeps and when it succeeded last', () => {
    const facts = scheduleFacts({ schedule: schedule({}, DONE), checkpoints: [old, young] });
    const { status } = decideSchedule(facts);
    assert.deepEqual(status.totals, { checkpoints: 2, bytes: 2 ** 21, size: '2Mi' });
    assert.equal(status.lastSuccessfulTime, time(-3_600));
    assert.equal(status.active, 0);
  });
});
