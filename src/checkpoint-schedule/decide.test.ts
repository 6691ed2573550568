// Whole decisions about schedules as a table: who is saved now, what is cancelled, what is told.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointScheduleSpec } from '../../crds/checkpoint-schedule.ts';
import { ANNOTATIONS, LABELS } from '../../crds/names.ts';
import { findCondition } from '../../kube/conditions.ts';
import { pod, time } from '../testing/builders.ts';
import {
  child,
  namedPod,
  ofRun,
  schedule,
  scheduleFacts,
  watchedSince,
} from '../testing/schedule-facts.ts';
import { decideSchedule } from './decide.ts';
import type { ScheduleFacts } from './facts.ts';

/** The run of 12:00 was dealt with, an hour to go. */
const DONE = watchedSince(3_600, { lastScheduleTime: time(0) });
const busy = child('hourly-redis-1', 900);
const cancelled = { ...busy, spec: { ...busy.spec, cancel: true } };
const asking = (token: string) =>
  namedPod('redis', { annotations: { [ANNOTATIONS.request]: token } });
const three = ['a', 'b', 'c'].map((name) => namedPod(name));

const refused = schedule(
  {},
  {
    conditions: [
      {
        ...{ type: 'Ready', status: 'False', reason: 'InvalidSchedule', message: '' },
        lastTransitionTime: time(-60),
      },
    ],
  },
  { name: 'older', creationTimestamp: time(-99_999) },
);

function due(spec: Partial<CheckpointScheduleSpec>) {
  return { schedule: schedule(spec, watchedSince(1_800)) };
}

function idle(spec: Partial<CheckpointScheduleSpec>, status = {}) {
  return { schedule: schedule(spec, { ...DONE, ...status }) };
}

interface DecisionCase {
  readonly what: string;
  readonly facts: Partial<ScheduleFacts>;
  /** `trigger pod` of each new Checkpoint */
  readonly creates?: readonly string[];
  readonly cancels?: readonly string[];
  readonly skips?: string;
  readonly ready?: string;
}

const CASES: readonly DecisionCase[] = [
  { what: 'due', facts: {}, creates: ['Schedule redis'] },
  { what: 'not due', facts: idle({}) },
  {
    what: 'due, without pods',
    facts: { pods: [] },
    skips: 'NoPodsSelected',
    ready: 'NoPodsSelected',
  },
  {
    what: 'due, with pods that do not run, end, or are ours',
    facts: {
      pods: [
        { ...pod(), status: { phase: 'Pending' } },
        namedPod('ending', { deletionTimestamp: time(-1) }),
        namedPod('holder', { labels: { app: 'redis', [LABELS.role]: 'holder' } }),
      ],
    },
    skips: 'NoPodsSelected',
  },
  { what: 'due, but held back', facts: due({ suspend: true }), ready: 'Suspended' },
  {
    what: 'due, an earlier run under way: Forbid leaves it out',
    facts: { checkpoints: [busy] },
    skips: 'StillActive',
  },
  {
    what: 'due, an earlier run under way: Allow',
    facts: { ...due({ concurrencyPolicy: 'Allow' }), checkpoints: [busy] },
    creates: ['Schedule redis'],
  },
  {
    what: 'due, an earlier run under way: Replace cancels it',
    facts: { ...due({ concurrencyPolicy: 'Replace' }), checkpoints: [busy] },
    creates: ['Schedule redis'],
    cancels: ['hourly-redis-1'],
  },
  {
    what: 'Replace after a crash: what is being cancelled is neither cancelled again nor waited for',
    facts: { ...due({ concurrencyPolicy: 'Replace' }), checkpoints: [cancelled] },
    creates: ['Schedule redis'],
  },
  {
    what: 'Replace of one that is younger than the window',
    facts: {
      ...due({ concurrencyPolicy: 'Replace' }),
      checkpoints: [child('hourly-redis-1', 30)],
    },
    creates: ['Schedule redis'],
    cancels: ['hourly-redis-1'],
  },
  {
    what: 'due, saved by a trigger half a minute ago',
    facts: { checkpoints: [child('hourly-redis-1', 30, 'ready')] },
    skips: 'RecentlySaved',
  },
  {
    what: 'due, failed half a minute ago',
    facts: { checkpoints: [child('hourly-redis-1', 30, 'failed')] },
    creates: ['Schedule redis'],
  },
  {
    what: 'due, with a shorter window',
    facts: {
      ...due({ triggers: { minIntervalSeconds: 10 } }),
      checkpoints: [child('hourly-redis-1', 30, 'ready')],
    },
    creates: ['Schedule redis'],
  },
  {
    what: 'at most two: those never saved first, then the oldest',
    facts: {
      ...due({ maxPodsPerRun: 2 }),
      pods: three,
      checkpoints: [
        child('x-a', 7_200, 'ready', namedPod('a')),
        child('x-c', 10_800, 'ready', namedPod('c')),
      ],
    },
    creates: ['Schedule b', 'Schedule c'],
  },
  {
    what: 'at most two, after a crash in the middle of the run: one more',
    facts: {
      ...due({ maxPodsPerRun: 2 }),
      pods: three,
      checkpoints: [ofRun(child('x-b', 1, 'active', namedPod('b')), 'at-20261124120000')],
    },
    creates: ['Schedule a'],
  },
  {
    what: 'a token',
    facts: idle({ runNow: 'now' }),
    creates: ['RunNow redis'],
  },
  { what: 'a token that was honoured', facts: idle({ runNow: 'now' }, { lastRunToken: 'now' }) },
  {
    what: 'a token while runs are held back: asked for by hand, it counts',
    facts: idle({ runNow: 'now', suspend: true }),
    creates: ['RunNow redis'],
    ready: 'Suspended',
  },
  {
    what: 'a token at the time of a run: each pod once',
    facts: due({ runNow: 'now' }),
    creates: ['Schedule redis'],
    skips: 'RecentlySaved',
  },
  { what: 'a cordoned node', facts: { ...idle({}), cordoned: ['node-a'] } },
  {
    what: 'a cordoned node, where that is asked for',
    facts: { ...idle({ triggers: { onNodeDrain: true } }), cordoned: ['node-a'] },
    creates: ['NodeDrain redis'],
  },
  {
    what: 'a cordoned node: all of its pods, more than a run may have, and no others',
    facts: {
      ...idle({ triggers: { onNodeDrain: true }, maxPodsPerRun: 1 }),
      pods: [...three, { ...namedPod('d'), spec: { ...pod().spec, nodeName: 'node-b' } }],
      cordoned: ['node-a'],
    },
    creates: ['NodeDrain a', 'NodeDrain b', 'NodeDrain c'],
  },
  {
    what: 'a cordoned node that was taken care of',
    facts: {
      ...idle({ triggers: { onNodeDrain: true } }, { drainedNodes: ['node-a'] }),
      cordoned: ['node-a'],
    },
  },
  {
    what: 'another cordoned node',
    facts: { ...idle({ triggers: { onNodeDrain: true } }), cordoned: ['node-b'] },
  },
  {
    what: 'a cordoned node, held back',
    facts: { ...idle({ triggers: { onNodeDrain: true }, suspend: true }), cordoned: ['node-a'] },
    ready: 'Suspended',
  },
  {
    what: 'a cordoned node, another pod being saved: Forbid does not matter',
    facts: {
      ...idle({ triggers: { onNodeDrain: true } }),
      pods: three,
      checkpoints: [child('x-a', 900, 'active', namedPod('a'))],
      cordoned: ['node-a'],
    },
    creates: ['NodeDrain b', 'NodeDrain c'],
  },
  {
    what: 'an annotation that nobody looks at',
    facts: { ...idle({}), pods: [asking('1')] },
  },
  {
    what: 'an annotation',
    facts: { ...idle({ triggers: { onAnnotation: true } }), pods: [asking('1')] },
    creates: ['Annotation redis'],
  },
  {
    what: 'an annotation that was honoured',
    facts: {
      ...idle(
        { triggers: { onAnnotation: true } },
        { requests: [{ podUID: 'uid-redis', token: '1' }] },
      ),
      pods: [asking('1')],
    },
  },
  {
    what: 'an annotation with another value',
    facts: {
      ...idle(
        { triggers: { onAnnotation: true } },
        { requests: [{ podUID: 'uid-redis', token: '1' }] },
      ),
      pods: [asking('2')],
    },
    creates: ['Annotation redis'],
  },
  {
    what: 'annotation and cordoned node at once: one Checkpoint',
    facts: {
      ...idle({ triggers: { onAnnotation: true, onNodeDrain: true } }),
      pods: [asking('1')],
      cordoned: ['node-a'],
    },
    creates: ['NodeDrain redis'],
    skips: 'RecentlySaved',
  },
  {
    what: 'an expression that cannot be read',
    facts: due({ schedule: '61 * * * *' }),
    ready: 'InvalidSchedule',
  },
  {
    what: 'a zone that does not exist',
    facts: due({ timeZone: 'Mars/Base' }),
    ready: 'InvalidTimeZone',
  },
  {
    what: 'an older schedule of the same pods',
    facts: {
      others: [schedule({}, undefined, { name: 'older', creationTimestamp: time(-99_999) })],
    },
    skips: 'NoPodsSelected',
  },
  {
    what: 'a younger schedule of the same pods',
    facts: { others: [schedule({}, undefined, { name: 'younger', creationTimestamp: time(-9) })] },
    creates: ['Schedule redis'],
  },
  {
    what: 'an older schedule that cannot be read',
    facts: { others: [refused] },
    creates: ['Schedule redis'],
  },
  {
    what: 'an older schedule that is held back',
    facts: {
      others: [
        schedule({ suspend: true }, undefined, { name: 'older', creationTimestamp: time(-99_999) }),
      ],
    },
    creates: ['Schedule redis'],
  },
];

describe('a schedule', () => {
  for (const { what, facts, creates = [], cancels = [], skips, ready = 'Scheduled' } of CASES) {
    it(what, () => {
      const decided = decideSchedule(scheduleFacts(facts));
      const created = decided.create.map(
        ({ metadata, spec }) => `${metadata.labels?.[LABELS.trigger]} ${spec.source.pod.name}`,
      );
      assert.deepEqual(created.toSorted(), creates);
      assert.deepEqual(
        decided.cancel.map(({ metadata }) => metadata.name),
        cancels,
      );
      assert.equal(decided.status.lastSkipped?.reason, skips);
      assert.equal(findCondition(decided.status.conditions, 'Ready')?.reason, ready);
    });
  }
});
