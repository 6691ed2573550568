// What the controller does next for a Checkpoint, as tables: the facts that differ from a sound case, and the step.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentsOf } from '../cluster/agents.ts';
import type { PodStatus } from '../cluster/pod.ts';
import type { PersistentVolumeClaim } from '../cluster/types.ts';
import { agent, checkpoint, claim, container, node, pod, time } from '../testing/builders.ts';
import { acceptedStatus, checkpointFacts, dump, thaw } from '../testing/checkpoint-facts.ts';
import { holder } from '../testing/holders.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideCheckpoint } from './decide.ts';
import type { CheckpointFacts } from './facts.ts';

function check(cases: readonly StepCase<CheckpointFacts>[]): void {
  checkSteps((changes) => decideCheckpoint(checkpointFacts(changes)), cases);
}

const fresh = checkpoint();
const old = checkpoint({}, undefined, { creationTimestamp: time(-60) });
const late = checkpoint({}, acceptedStatus(), { creationTimestamp: time(-301) });
const cancelled = checkpoint({ cancel: true }, acceptedStatus());
const notRunning = (status: PodStatus) => ({ ...pod(), status: { ...pod().status, ...status } });
const watched = pod({
  containers: [container({ livenessProbe: { httpGet: {}, failureThreshold: 1 } })],
});

describe('a Checkpoint before it is accepted', () => {
  check([
    {
      what: 'nothing is done without the finalizer',
      facts: { checkpoint: checkpoint({}, undefined, { finalizers: [] }) },
      step: 'add-finalizer',
    },
    { what: 'all is well', facts: { checkpoint: fresh }, step: 'accept' },
    {
      what: 'pod missing, but just created',
      facts: { checkpoint: fresh, pod: undefined },
      step: 'wait Pending',
    },
    {
      what: 'pod missing',
      facts: { checkpoint: old, pod: undefined },
      step: 'fail PodNotFound',
      says: /"redis"/,
    },
    {
      what: 'pod is another one than meant',
      facts: { checkpoint: checkpoint({ source: { pod: { name: 'redis', uid: 'x' } } }) },
      step: 'fail PodChanged',
    },
    {
      what: 'host PID',
      facts: { checkpoint: fresh, pod: pod({ hostPID: true }) },
      step: 'fail PodUnsupported',
      says: /hostPID/,
    },
    {
      what: 'host IPC',
      facts: { checkpoint: fresh, pod: pod({ hostIPC: true }) },
      step: 'fail PodUnsupported',
    },
    {
      what: 'static pod',
      facts: {
        checkpoint: fresh,
        pod: pod({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
      },
      step: 'fail PodUnsupported',
    },
    {
      what: 'pod starting',
      facts: { checkpoint: fresh, pod: notRunning({ phase: 'Pending' }) },
      step: 'wait Pending',
    },
    {
      what: 'pod done',
      facts: { checkpoint: fresh, pod: notRunning({ phase: 'Succeeded' }) },
      step: 'fail PodNotRunning',
    },
    {
      what: 'pod ending',
      facts: { checkpoint: fresh, pod: pod({}, { deletionTimestamp: time(0) }) },
      step: 'fail PodNotRunning',
    },
    {
      what: 'container missing',
      facts: { checkpoint: checkpoint({ source: { pod: { name: 'redis', containers: ['x'] } } }) },
      step: 'fail ContainerNotFound',
      says: /"x".*main/,
    },
    {
      what: 'container not running',
      facts: { checkpoint: fresh, pod: notRunning({ containerStatuses: [] }) },
      step: 'fail ContainerNotRunning',
    },
    {
      what: 'store missing, but just created',
      facts: { checkpoint: fresh, store: undefined },
      step: 'wait Pending',
    },
    {
      what: 'no default store',
      facts: { checkpoint: old, store: undefined },
      step: 'fail StoreNotFound',
      says: /default/,
    },
    {
      what: 'store missing',
      facts: {
        checkpoint: checkpoint({ storeRef: { name: 'x' } }, undefined, {
          creationTimestamp: time(-60),
        }),
        store: undefined,
      },
      step: 'fail StoreNotFound',
      says: /"x"/,
    },
    {
      what: 'cancelled',
      facts: { checkpoint: checkpoint({ cancel: true }) },
      step: 'fail Canceled',
    },
  ]);
});

describe('an accepted Checkpoint without a task', () => {
  const first = checkpoint({}, acceptedStatus(), {
    name: 'first',
    uid: 'chk-0',
    creationTimestamp: time(-9),
  });
  const keeper = checkpoint(
    { afterDump: 'Stop' },
    { conditions: [frozen(), { ...frozen(), type: 'Ready' }] },
    { name: 'keeper', uid: 'chk-9' },
  );
  check([
    { what: 'all is well', facts: {}, step: 'create-task' },
    { what: 'pod gone', facts: { pod: undefined }, step: 'fail PodDeleted' },
    { what: 'pod replaced', facts: { pod: pod({}, { uid: 'pod-2' }) }, step: 'fail PodChanged' },
    {
      what: 'an older one waits, too',
      facts: { rivals: [first] },
      step: 'wait Queued',
      says: /first works/,
    },
    {
      what: 'a younger one waits, too',
      facts: {
        rivals: [{ ...first, metadata: { ...first.metadata, creationTimestamp: time(1) } }],
      },
      step: 'create-task',
    },
    {
      what: 'another keeps the pod frozen',
      facts: { rivals: [keeper] },
      step: 'wait Queued',
      says: /keeper keeps/,
    },
    {
      what: "somebody else's task works on the pod",
      facts: { dump: dump({ state: 'Running' }, first) },
      step: 'wait Queued',
    },
    {
      what: 'the pod is being let go',
      facts: { thaw: thaw(undefined, first) },
      step: 'wait Queued',
    },
    {
      what: 'the pod was let go',
      facts: { thaw: thaw({ state: 'Succeeded' }, first) },
      step: 'create-task',
    },
    { what: 'node gone', facts: { node: undefined }, step: 'fail NodeLost' },
    { what: 'node not ready', facts: { node: node('node-a', false) }, step: 'wait NodeNotReady' },
    {
      what: 'no agent',
      facts: { agents: agentsOf([agent('node-b')]) },
      step: 'wait AgentUnavailable',
    },
    {
      what: 'agent not ready',
      facts: { agents: agentsOf([agent('node-a', false)]) },
      step: 'wait AgentUnavailable',
    },
    { what: 'claim missing', facts: claimFacts(undefined), step: 'fail ClaimNotFound' },
    {
      what: 'claim read-only',
      facts: claimFacts(claim({ status: { phase: 'Bound', accessModes: ['ReadOnlyMany'] } })),
      step: 'fail ClaimReadOnly',
    },
    {
      what: 'claim lost',
      facts: claimFacts(claim({ status: { phase: 'Lost' } })),
      step: 'fail ClaimLost',
    },
    {
      what: 'claim pending',
      facts: claimFacts(claim({ status: { phase: 'Pending' } })),
      step: 'wait ClaimNotBound',
    },
    { what: 'no holder', facts: { holders: [] }, step: 'create-holder' },
    {
      what: 'a holder that may idle out',
      facts: { holders: [holder('node-a', 100)] },
      step: 'touch-holder',
    },
    {
      what: 'a probe that a longer freeze would fail',
      facts: { pod: watched, checkpoint: checkpoint({ afterDump: 'DeletePod' }, acceptedStatus()) },
      step: 'fail FreezeLimitZero',
    },
    {
      what: 'a probe that is failing',
      facts: { pod: watched, probeEvents: [unhealthy()] },
      step: 'wait ProbeFailing',
    },
    { what: 'time is up', facts: { checkpoint: late }, step: 'fail TimedOut' },
    { what: 'cancelled', facts: { checkpoint: cancelled }, step: 'fail Canceled' },
    {
      what: 'the task vanished',
      facts: {
        checkpoint: checkpoint(
          {},
          acceptedStatus({ progress: { stage: 'x', bytesDone: 0, bytesTotal: 0 } }),
        ),
      },
      step: 'fail TaskLost',
    },
  ]);

  it('asks the agent for exactly what the spec says', () => {
    const spec = {
      source: { pod: { name: 'redis' } },
      afterDump: 'Stop',
      sockets: { established: 'Keep' },
      include: { rootfsDiff: 'None' },
      openResources: { maxEmbeddedBytes: '1Mi' },
      limits: { timeoutSeconds: 60, maxBytes: 1000 },
    } as const;
    const step = decideCheckpoint(
      checkpointFacts({ checkpoint: checkpoint(spec, acceptedStatus()) }),
    );
    assert.ok(step.do === 'create-task' && step.task.spec.type === 'Dump');
    const { dump: payload, ...task } = step.task.spec;
    assert.equal(step.task.metadata.name, 'dump-pod-1');
    assert.equal(task.nodeName, 'node-a');
    assert.equal(task.deadline, time(59));
    assert.deepEqual(task.owner, {
      kind: 'Checkpoint',
      namespace: 'shop',
      name: 'redis-1',
      uid: 'chk-1',
    });
    const { podManifest: _manifest, store, ...rest } = payload;
    assert.ok(store);
    assert.equal(store.bundlePath, 'shop/redis-1-chk-1');
    assert.equal(store.holder.uid, 'holder-node-a');
    assert.deepEqual(rest, {
      pod: { namespace: 'shop', name: 'redis', uid: 'pod-1' },
      containers: [
        {
          name: 'main',
          containerID: `containerd://${'a0'.repeat(32)}`,
          imageID: `docker.io/library/redis@sha256:${'d1'.repeat(32)}`,
        },
      ],
      afterDump: 'KeepFrozen',
      freezeLimitMillis: 59_000,
      established: 'Keep',
      rootfsDiff: 'None',
      emptyDirs: 'Content',
      maxEmbeddedBytes: 1048576,
      maxBytes: 1000,
      dryRun: false,
    });
  });
});

function claimFacts(found: PersistentVolumeClaim | undefined): Partial<CheckpointFacts> {
  return { claim: { claimName: 'checkpoints', claim: found, storageClass: undefined } };
}

function frozen() {
  return {
    type: 'SourceFrozen',
    status: 'True',
    reason: 'KeptFrozen',
    message: '',
    lastTransitionTime: time(-1),
  } as const;
}

function unhealthy() {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'x' },
    reason: 'Unhealthy',
    message: 'Liveness probe failed: x',
    count: 1,
    firstTimestamp: time(-3),
    lastTimestamp: time(-3),
    involvedObject: { fieldPath: 'spec.containers{main}' },
  } as const;
}
