// What the controller does next for a CheckpointGroup, as tables.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointGroup, CheckpointGroupStatus } from '../../crds/checkpoint-group.ts';
import { API_VERSION, type Condition } from '../../crds/meta.ts';
import { FINALIZERS } from '../../crds/names.ts';
import { NAMESPACE, NOW, pod, time } from '../testing/builders.ts';
import { condition } from '../testing/migration-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideGroup } from './decide.ts';
import type { GroupFacts } from './facts.ts';
import { madeCheckpoint, memberOf } from './members.ts';

const front = pod({}, { name: 'front', uid: 'pod-1' });
const back = pod({}, { name: 'back', uid: 'pod-2' });

function group(
  status?: CheckpointGroupStatus,
  changes: Partial<CheckpointGroup['spec']> = {},
  metadata: Partial<CheckpointGroup['metadata']> = {},
): CheckpointGroup {
  return {
    apiVersion: API_VERSION,
    kind: 'CheckpointGroup',
    metadata: {
      name: 'shop',
      namespace: NAMESPACE,
      uid: 'grp-1',
      creationTimestamp: time(-1),
      finalizers: [FINALIZERS.group],
      ...metadata,
    },
    spec: { selector: { matchLabels: { app: 'redis' } }, ...changes },
    ...(status && { status }),
  };
}

const members = [memberOf(group(), back), memberOf(group(), front)];
const accepted = (
  conditions: readonly Condition[] = [],
  changes: CheckpointGroupStatus = {},
): CheckpointGroup =>
  group({
    members,
    timing: { startTime: time(-1) },
    ...changes,
    conditions: [condition('Accepted'), ...conditions],
  });

function member(
  index: 0 | 1,
  conditions: readonly Condition[],
  spec: Partial<Checkpoint['spec']> = { suspend: false },
  changes: Partial<Checkpoint> = {},
): Checkpoint {
  const made = madeCheckpoint(group(), members[index]!);
  return { ...made, spec: { ...made.spec, ...spec }, status: { conditions }, ...changes };
}

const isReady = (reason: string) => condition('Ready', 'False', reason);
const frozen = condition('SourceFrozen', 'True', 'KeptFrozen');
const running = condition('SourceFrozen', 'False', 'SourceRunning');
const done = condition('Ready', 'True', 'Completed');
const prepared = (index: 0 | 1) => member(index, [isReady('Prepared')], { suspend: true });
const kept = (index: 0 | 1) => member(index, [done, frozen]);
const failed = member(1, [condition('Failed', 'True', 'Unsupported'), isReady('Unsupported')]);

function check(base: Partial<GroupFacts>, cases: readonly StepCase<GroupFacts>[]): void {
  const facts: GroupFacts = {
    nowMillis: NOW,
    group: group(),
    pods: [front, back],
    checkpoints: [],
  };
  checkSteps((changes) => decideGroup({ ...facts, ...base, ...changes }), cases);
}

describe('a CheckpointGroup that is new', () => {
  const many = Array.from({ length: 33 }, (_, n) => pod({}, { name: `p-${n}` }));
  const old = group(undefined, {}, { creationTimestamp: time(-60) });
  check({}, [
    {
      what: 'no finalizer',
      facts: { group: group(undefined, {}, { finalizers: [] }) },
      step: 'add-finalizer',
    },
    { what: 'two pods', facts: {}, step: 'accept' },
    { what: 'no pod, but just created', facts: { pods: [] }, step: 'wait Pending' },
    {
      what: 'no pod',
      facts: { pods: [], group: old },
      step: 'fail NoPodSelected',
      says: /spec\.selector/,
    },
    { what: 'a crowd', facts: { pods: many }, step: 'fail TooManyPods', says: /33 pods.*32/ },
    {
      what: 'cancelled',
      facts: { group: group(undefined, { cancel: true }) },
      step: 'fail Canceled',
    },
    {
      what: 'deleted',
      facts: { group: group(undefined, {}, { deletionTimestamp: time(0) }) },
      step: 'remove-finalizer',
    },
  ]);
});

describe('a CheckpointGroup on its way', () => {
  const started = accepted([condition('Prepared', 'True', 'AllPrepared')]);
  const tooLong = { firstFrozenAt: time(-4) };
  const limited = {
    ...kept(0),
    status: { ...kept(0).status, timing: { freezeLimitMillis: 5_000 } },
  };
  check({ group: accepted() }, [
    { what: 'nothing is made', facts: {}, step: 'create-members' },
    { what: 'one is made', facts: { checkpoints: [prepared(0)] }, step: 'create-members' },
    {
      what: 'one is not prepared',
      facts: { checkpoints: [prepared(0), member(1, [isReady('Queued')], { suspend: true })] },
      step: 'wait PreparingMembers',
      says: /shop-front/,
    },
    { what: 'all are', facts: { checkpoints: [prepared(0), prepared(1)] }, step: 'start-members' },
    {
      what: 'one was started before the controller died',
      facts: { group: started, checkpoints: [member(0, [isReady('Freezing')]), prepared(1)] },
      step: 'start-members',
    },
    {
      what: 'one is stored: it waits for the other',
      facts: { group: started, checkpoints: [kept(0), member(1, [isReady('Storing')])] },
      step: 'wait FreezingMembers',
      says: /shop-front/,
    },
    {
      what: 'all are stored',
      facts: { group: started, checkpoints: [kept(0), kept(1)] },
      step: 'pass-barrier',
    },
    {
      what: 'a stranger has the name',
      facts: { checkpoints: [{ ...prepared(0), metadata: { name: 'shop-back' } }] },
      step: 'give-up NameTaken',
    },
    {
      what: 'one has failed',
      facts: { group: started, checkpoints: [kept(0), failed] },
      step: 'give-up MemberFailed',
      says: /shop-front: Unsupported/,
    },
    {
      what: 'one was deleted',
      facts: { group: started, checkpoints: [kept(0)] },
      step: 'give-up MemberFailed',
    },
    {
      what: 'cancelled',
      facts: {
        group: { ...started, spec: { ...started.spec, cancel: true } },
        checkpoints: [kept(0), prepared(1)],
      },
      step: 'give-up Canceled',
    },
    {
      what: 'too late',
      facts: { nowMillis: NOW + 400_000, group: started, checkpoints: [kept(0), prepared(1)] },
      step: 'give-up TimedOut',
      says: /spec\.limits\.timeoutSeconds/,
    },
    {
      what: 'the first one has stood still for too long',
      facts: {
        group: { ...started, status: { ...started.status, timing: tooLong } },
        checkpoints: [limited, member(1, [isReady('Storing')])],
      },
      step: 'give-up FreezeLimitExceeded',
    },
  ]);
});

describe('a CheckpointGroup behind its barrier', () => {
  const told = (index: 0 | 1, state: Condition) =>
    member(index, [done, state], { afterDump: 'Resume' });
  check({ group: accepted([condition('Stored', 'True', 'AllStored')]) }, [
    { what: 'all are kept', facts: { checkpoints: [kept(0), kept(1)] }, step: 'resume-members' },
    {
      what: 'one was told',
      facts: { checkpoints: [told(0, frozen), kept(1)] },
      step: 'resume-members',
    },
    {
      what: 'one is not yet let go',
      facts: { checkpoints: [told(0, running), told(1, frozen)] },
      step: 'wait ReleasingMembers',
    },
    {
      what: 'all run',
      facts: { checkpoints: [told(0, running), told(1, running)] },
      step: 'finish',
    },
  ]);
});

describe('a CheckpointGroup that is undone', () => {
  const failure = { failure: { reason: 'MemberFailed', message: 'why' } };
  const letGo = member(0, [done, running], { afterDump: 'Resume' });
  const cancelled = member(0, [isReady('Freezing')], { cancel: true });
  check({ group: accepted([], failure) }, [
    {
      what: 'one is at work',
      facts: { checkpoints: [prepared(0), failed] },
      step: 'cancel-members',
    },
    {
      what: 'it was told',
      facts: { checkpoints: [cancelled, failed] },
      step: 'wait ReleasingMembers',
    },
    { what: 'one stands still', facts: { checkpoints: [kept(0), failed] }, step: 'resume-members' },
    {
      what: 'one is stored for nothing',
      facts: { checkpoints: [letGo, failed] },
      step: 'delete-members',
    },
    {
      what: 'nothing is left',
      facts: { checkpoints: [failed] },
      step: 'fail MemberFailed',
      says: /why/,
    },
  ]);
});

describe('the Checkpoint of a member', () => {
  it('has a name that fits, whatever the pod is called', () => {
    assert.equal(members[0]?.checkpointName, 'shop-back');
    const long = memberOf(group(), pod({}, { name: 'x'.repeat(253), uid: 'abcdef0123456789' }));
    assert.equal(long.checkpointName.length, 253);
    assert.match(long.checkpointName, /-abcdef01$/);
  });

  it('stops its pod only when told, and keeps it stopped', () => {
    const { spec, metadata } = madeCheckpoint(
      group(undefined, { limits: { maxFreezeSeconds: 3 } }),
      members[0]!,
    );
    assert.deepEqual([spec.suspend, spec.afterDump], [true, 'Stop']);
    assert.deepEqual(spec.limits, { timeoutSeconds: 300, maxFreezeSeconds: 3 });
    assert.equal(metadata.ownerReferences?.[0]?.uid, 'grp-1');
  });
});
