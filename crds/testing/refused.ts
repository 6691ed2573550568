// What the API server must refuse, by schema or by CEL rule, and with which words. The schema cases are checked
// here without a server; all of them are meant to be sent to a real one.
import { nodeTasks } from './node-task-samples.ts';
import { REFUSED_HOOKS } from './refused-hooks.ts';
import { REFUSED_MIGRATIONS } from './refused-migrations.ts';
import { completeRestore, rewindingRestore, shortRestore } from './restore-samples.ts';
import { completeCheckpoint, shortCheckpoint, shortSchedule, shortStore } from './samples.ts';

export interface RefusedCase {
  readonly what: string;
  readonly kind:
    | 'Checkpoint'
    | 'CheckpointGroup'
    | 'CheckpointSchedule'
    | 'Restore'
    | 'Migration'
    | 'CheckpointStore'
    | 'NodeTask';
  /** who refuses it: only `schema` can be checked without an API server */
  readonly by: 'schema' | 'cel';
  /** what exists before, if it is about a change; not sent when absent */
  readonly before?: object;
  readonly object: object;
  /** part of the API server's answer */
  readonly says: string;
}

function checkpoint(spec: object): object {
  return { ...shortCheckpoint, spec: { ...shortCheckpoint.spec, ...spec } };
}

function changed(spec: object): Pick<RefusedCase, 'before' | 'object'> {
  const before = { ...completeCheckpoint, metadata: { name: 'changed' } };
  return { before, object: { ...before, spec: { ...before.spec, ...spec } } };
}

function schedule(spec: object): Pick<RefusedCase, 'kind' | 'object'> {
  const object = { ...shortSchedule, spec: { ...shortSchedule.spec, ...spec } };
  return { kind: 'CheckpointSchedule', object };
}

const dumpTask = nodeTasks[0];

export const REFUSED: readonly RefusedCase[] = [
  {
    what: 'a Checkpoint of nothing',
    kind: 'Checkpoint',
    by: 'schema',
    object: { ...shortCheckpoint, spec: { source: {} } },
    says: 'spec.source.pod',
  },
  {
    what: 'a pod name that is none',
    kind: 'Checkpoint',
    by: 'schema',
    object: checkpoint({ source: { pod: { name: '../etc' } } }),
    says: 'spec.source.pod.name',
  },
  {
    what: 'the same container twice',
    kind: 'Checkpoint',
    by: 'schema',
    object: checkpoint({ source: { pod: { name: 'redis', containers: ['a', 'a'] } } }),
    says: 'spec.source.pod.containers',
  },
  {
    what: 'an unknown afterDump',
    kind: 'Checkpoint',
    by: 'schema',
    object: checkpoint({ afterDump: 'Kill' }),
    says: 'supported values: "Resume", "Stop", "DeletePod"',
  },
  {
    what: 'no time at all',
    kind: 'Checkpoint',
    by: 'schema',
    object: checkpoint({ limits: { timeoutSeconds: 0 } }),
    says: 'spec.limits.timeoutSeconds',
  },
  {
    what: 'a size that is none',
    kind: 'Checkpoint',
    by: 'schema',
    object: checkpoint({ limits: { maxBytes: '12 apples' } }),
    says: 'spec.limits.maxBytes',
  },
  {
    what: 'a dry run that stops the pod',
    kind: 'Checkpoint',
    by: 'cel',
    object: checkpoint({ mode: 'DryRun', afterDump: 'Stop' }),
    says: 'a dry run leaves the pod as it is',
  },
  {
    what: 'another source',
    kind: 'Checkpoint',
    by: 'cel',
    ...changed({ source: { pod: { name: 'other' } } }),
    says: 'source cannot be changed',
  },
  {
    what: 'another store',
    kind: 'Checkpoint',
    by: 'cel',
    ...changed({ storeRef: { name: 'other' } }),
    says: 'storeRef cannot be changed',
  },
  {
    what: 'another afterDump than Stop changed',
    kind: 'Checkpoint',
    by: 'cel',
    ...changed({ afterDump: 'Resume' }),
    says: 'afterDump can be changed only from Stop',
  },
  {
    what: 'a Restore of nothing',
    kind: 'Restore',
    by: 'schema',
    object: { ...shortRestore, spec: {} },
    says: 'spec.checkpointRef',
  },
  {
    what: 'a Restore with two targets',
    kind: 'Restore',
    by: 'cel',
    object: {
      ...completeRestore,
      spec: { ...completeRestore.spec, target: { type: 'Adopt', newPod: { name: 'redis-b' } } },
    },
    says: 'newPod belongs to type: NewPod',
  },
  {
    what: 'a Restore in place with a new pod',
    kind: 'Restore',
    by: 'cel',
    object: {
      ...completeRestore,
      spec: {
        ...completeRestore.spec,
        target: { type: 'InPlace', newPod: {}, inPlace: { podRef: { name: 'redis' } } },
      },
    },
    says: 'newPod belongs to type: NewPod',
  },
  {
    what: 'a Restore in place that names no pod',
    kind: 'Restore',
    by: 'cel',
    object: { ...shortRestore, spec: { ...shortRestore.spec, target: { type: 'InPlace' } } },
    says: 'inPlace belongs to type: InPlace',
  },
  {
    what: 'a pod to rewind without the type',
    kind: 'Restore',
    by: 'cel',
    object: {
      ...shortRestore,
      spec: { ...shortRestore.spec, target: { inPlace: { podRef: { name: 'redis' } } } },
    },
    says: 'inPlace belongs to type: InPlace',
  },
  {
    what: 'a Restore in place ahead of its Checkpoint',
    kind: 'Restore',
    by: 'cel',
    object: { ...rewindingRestore, spec: { ...rewindingRestore.spec, placement: 'Ahead' } },
    says: 'placement: Ahead is for pods that are made',
  },
  {
    what: 'a changed Restore',
    kind: 'Restore',
    by: 'cel',
    before: completeRestore,
    object: { ...completeRestore, spec: { ...completeRestore.spec, timeoutSeconds: 60 } },
    says: 'a Restore cannot be changed',
  },
  {
    what: 'a Restore whose cancellation is taken back',
    kind: 'Restore',
    by: 'cel',
    before: { ...completeRestore, spec: { ...completeRestore.spec, cancel: true } },
    object: completeRestore,
    says: 'cancel cannot be taken back',
  },
  {
    what: 'a Checkpoint that is suspended later',
    kind: 'Checkpoint',
    by: 'cel',
    ...changed({ suspend: true }),
    says: 'suspend can only be ended',
  },
  ...REFUSED_MIGRATIONS,
  ...REFUSED_HOOKS,
  {
    what: 'a store without a volume',
    kind: 'CheckpointStore',
    by: 'schema',
    object: { ...shortStore, spec: {} },
    says: 'spec.persistentVolumeClaim',
  },
  {
    what: 'a changed store',
    kind: 'CheckpointStore',
    by: 'cel',
    before: shortStore,
    object: { ...shortStore, spec: { persistentVolumeClaim: { claimName: 'other' } } },
    says: 'a CheckpointStore cannot be changed',
  },
  {
    what: 'a schedule of no pods',
    by: 'schema',
    ...schedule({ selector: undefined }),
    says: 'spec.selector',
  },
  {
    what: 'a schedule with four fields',
    by: 'cel',
    ...schedule({ schedule: '0 3 * *' }),
    says: 'schedule must have five fields',
  },
  {
    what: 'a schedule with seconds',
    by: 'cel',
    ...schedule({ schedule: '0 0 3 * * *' }),
    says: 'schedule must have five fields',
  },
  {
    what: 'a time zone that is none',
    by: 'cel',
    ...schedule({ timeZone: '../etc/passwd' }),
    says: 'timeZone must be a name of the IANA database',
  },
  {
    what: 'a schedule that nothing would start',
    by: 'cel',
    ...schedule({ schedule: undefined }),
    says: 'nothing would ever start a run',
  },
  {
    what: 'a schedule that keeps no run',
    by: 'schema',
    ...schedule({ retention: { keepLast: 0 } }),
    says: 'spec.retention.keepLast',
  },
  {
    what: 'a schedule that keeps nothing for no time',
    by: 'cel',
    ...schedule({ retention: { keepWithin: '0s' } }),
    says: 'keepWithin of no time would keep nothing',
  },
  {
    what: 'a schedule without room for a Checkpoint',
    by: 'cel',
    ...schedule({ retention: { maxBytes: 0 } }),
    says: 'maxBytes of 0 would delete every Checkpoint',
  },
  {
    what: 'a label that must be one of no values',
    by: 'cel',
    ...schedule({ selector: { matchExpressions: [{ key: 'app', operator: 'In' }] } }),
    says: 'values belong to In and NotIn',
  },
  {
    what: 'a schedule that stops its pods',
    by: 'schema',
    ...schedule({ template: { spec: { afterDump: 'Stop' } } }),
    says: 'afterDump',
  },
  {
    what: 'a task whose type and member differ',
    kind: 'NodeTask',
    by: 'cel',
    object: { ...dumpTask, spec: { ...dumpTask?.spec, type: 'Restore' } },
    says: 'exactly the member that type names',
  },
  {
    what: 'a container id that could match anything',
    kind: 'NodeTask',
    by: 'schema',
    object: thawOf('containerd://'),
    says: 'containerID',
  },
  {
    what: 'a bundle path that leads out of its folder',
    kind: 'NodeTask',
    by: 'cel',
    object: deleteOf('shop/../../etc'),
    says: 'a bundle path stays below the volume',
  },
];

function thawOf(containerID: string): object {
  const containers = [{ name: 'main', containerID, imageID: '' }];
  const pod = { namespace: 'shop', name: 'redis', uid: 'u-1' };
  const task = nodeTasks.find(({ spec }) => spec.type === 'Thaw');
  return { ...task, spec: { ...task?.spec, thaw: { pod, containers } } };
}

function deleteOf(bundlePath: string): object {
  const task = nodeTasks.find(({ spec }) => spec.type === 'DeleteBundle');
  const spec = task?.spec;
  const deleteBundle =
    spec?.type === 'DeleteBundle'
      ? { store: { ...spec.deleteBundle.store, bundlePath } }
      : undefined;
  return { ...task, spec: { ...spec, deleteBundle } };
}
