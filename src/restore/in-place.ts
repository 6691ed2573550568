// A Restore into a running pod: what must hold before it is asked for, and what follows it (pure). The pod is never ours: it
// is neither made nor deleted.
import { LABELS } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore, RewoundPod } from '../../crds/restore.ts';
import { isPodReady, type Pod, statusOfContainer } from '../cluster/pod.ts';
import { isFinished, taskName } from '../node-task/task.ts';
import { savedContainers } from '../placeholder/template.ts';
import {
  deadlineMillis,
  fail,
  isOfThisAttempt,
  notVerified,
  ownPod,
  type RestoreFacts,
  type RestoreStep,
  wait,
} from './facts.ts';
import { decidePlaced, imageMismatch } from './placed.ts';
import { firstObjection, isYoung, NODE_CHECKS, type Check } from './target-checks.ts';

const FIELD = 'spec.target.inPlace.podRef';

/** Undefined for a Restore that makes its pod by itself. */
export function rewoundPod({ spec }: Restore): RewoundPod['podRef'] | undefined {
  return spec.target?.type === 'InPlace' ? spec.target.inPlace?.podRef : undefined;
}

/** The pod that the processes are or will be in, while it is the one meant. */
export function subjectPod(facts: RestoreFacts): Pod | undefined {
  const { restore, pod } = facts;
  if (rewoundPod(restore) === undefined) {
    // The pod of an earlier attempt may live on until the next replica may come: its end is no loss.
    const own = ownPod(facts);
    return own && isOfThisAttempt(restore, own) ? own : undefined;
  }
  const known = restore.status?.pod?.uid;
  const isMeant = known === undefined || known === pod?.metadata.uid;
  return isMeant && pod?.metadata.deletionTimestamp === undefined ? pod : undefined;
}

/** No task exists yet, and the Checkpoint is fine. */
export function decideInPlace(facts: RestoreFacts): RestoreStep {
  const objection = firstObjection(CHECKS, facts);
  return objection ?? decidePlaced(facts, facts.pod as Pod);
}

const CHECKS: readonly Check[] = [
  podIsMissing,
  podIsAnother,
  podDoesNotRun,
  podIsOfAKind,
  containerIsMissing,
  imageIsAnother,
  ...NODE_CHECKS,
  podIsBusy,
];

function podIsMissing(facts: RestoreFacts): RestoreStep | undefined {
  const { restore, pod } = facts;
  if (pod !== undefined) {
    return undefined;
  }
  const what = `${FIELD}.name: pod "${rewoundPod(restore)?.name}" does not exist`;
  return isYoung(facts) ? wait('Pending', what) : fail('PodNotFound', what);
}

function podIsAnother({ restore, pod }: RestoreFacts): RestoreStep | undefined {
  const wanted = rewoundPod(restore)?.uid;
  const present = pod?.metadata.uid;
  return wanted === undefined || wanted === present
    ? undefined
    : fail('PodChanged', `${FIELD}.uid: pod "${pod?.metadata.name}" has uid ${present}`);
}

function podDoesNotRun({ pod }: RestoreFacts): RestoreStep | undefined {
  const { name, deletionTimestamp } = pod?.metadata ?? {};
  if (deletionTimestamp !== undefined) {
    return fail('PodDeleted', `${FIELD}.name: pod "${name}" is being deleted`);
  }
  const phase = pod?.status?.phase;
  return phase === 'Running'
    ? undefined
    : fail('PodNotRunning', `${FIELD}.name: pod "${name}" is ${phase ?? 'not started'}`);
}

function podIsOfAKind({ pod }: RestoreFacts): RestoreStep | undefined {
  return pod?.spec.shareProcessNamespace === true
    ? fail(
        'PodUnsupported',
        `${FIELD}.name: pod "${pod.metadata.name}" shares one process namespace`,
      )
    : undefined;
}

function containerIsMissing({ checkpoint, pod }: RestoreFacts): RestoreStep | undefined {
  const saved = savedContainers(checkpoint).map(({ name }) => name);
  const present = pod?.spec.containers.map(({ name }) => name) ?? [];
  const missing = saved.find((name) => !present.includes(name));
  if (missing !== undefined) {
    const facts = `${FIELD}.name: pod "${pod?.metadata.name}" has no container ${missing}; it has ${present.join(', ')}`;
    return fail('ContainerNotFound', facts);
  }
  const resting = saved.find((name) => pod && !statusOfContainer(pod, name)?.state?.running);
  return resting === undefined
    ? undefined
    : fail(
        'ContainerNotRunning',
        `${FIELD}.name: container ${resting} of pod "${pod?.metadata.name}" does not run`,
      );
}

function imageIsAnother(facts: RestoreFacts): RestoreStep | undefined {
  const found = facts.pod && imageMismatch(facts, facts.pod);
  return found?.do === 'fail' ? fail(found.reason, `${FIELD}.name: ${found.facts}`) : found;
}

/** One task at a time; the name of a Restore task is taken until its own Restore has removed it. */
function podIsBusy({ restore, pod, tasks }: RestoreFacts): RestoreStep | undefined {
  const uid = pod?.metadata.uid ?? '';
  const other = tasks.find(
    (task) =>
      task.metadata.labels?.[LABELS.podUid] === uid &&
      task.spec.owner.uid !== restore.metadata.uid &&
      (!isFinished(task) || task.metadata.name === taskName('Restore', uid)),
  );
  return (
    other && wait('Queued', `${other.spec.owner.kind} ${other.spec.owner.name} works on the pod`)
  );
}

/** The processes run in it again. */
export function decideRewound(facts: RestoreFacts): RestoreStep {
  const { restore, task, nowMillis } = facts;
  const pod = subjectPod(facts);
  const name = restore.status?.pod?.name ?? '';
  if (pod === undefined) {
    return fail('PodGone', `pod ${name} vanished after it was rewound`);
  }
  const restarted = task && restartedContainer(pod, task);
  if (restarted !== undefined) {
    return fail(
      'PodNotReady',
      `container ${restarted} of pod ${name} has ended and was started anew`,
    );
  }
  const refuted = notVerified(restore, `pod ${name} is left as it is`);
  if (refuted !== undefined) {
    return refuted;
  }
  if (isPodReady(pod)) {
    return { do: 'finish', pod };
  }
  return nowMillis > deadlineMillis(restore)
    ? fail('PodNotReady', `pod ${name} did not become ready in time`)
    : wait('WaitingForPodReady', `waiting for pod ${name} to become ready`, 1_000);
}

function restartedContainer(pod: Pod, { spec }: NodeTask): string | undefined {
  const rewound = spec.type === 'Restore' ? spec.restore.containers : [];
  return rewound.find(
    ({ name, containerID }) => statusOfContainer(pod, name)?.containerID !== containerID,
  )?.name;
}
