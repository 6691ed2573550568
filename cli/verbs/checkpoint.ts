// checkpoint: save a running pod.
import {
  type AfterDump,
  type Checkpoint,
  type CheckpointSpec,
  type DeletionPolicy,
  type EstablishedSockets,
  type RootfsDiff,
} from '../../crds/checkpoint.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { formatDuration } from '../../kube/duration.ts';
import type { Arguments } from '../arguments/arguments.ts';
import { CREATE_OPTIONS, type Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { createAndFollow, nameWithTime, withoutUndefined } from '../create.ts';
import { CHECKPOINT } from '../kinds.ts';

const OPTIONS: readonly Option[] = [
  {
    name: 'container',
    short: 'c',
    value: 'NAME',
    repeated: true,
    help: 'Only this container; without it, all',
  },
  {
    name: 'store',
    value: 'NAME',
    completes: 'store',
    help: "CheckpointStore for the bundle; without it, the namespace's default one",
  },
  {
    name: 'after-dump',
    value: 'WHAT',
    choices: ['Resume', 'Stop', 'DeletePod'],
    help: 'What becomes of the pod: it runs on, is kept frozen, or is deleted',
  },
  {
    name: 'established',
    value: 'WHAT',
    choices: ['Fail', 'Close', 'Keep'],
    help: 'Established TCP connections: refuse to save, close them in the restored pod, or keep them (others than within the pod for a rewind only)',
  },
  {
    name: 'rootfs-diff',
    value: 'WHAT',
    choices: ['Changed', 'None'],
    help: 'Files that differ from the image: save them or not',
  },
  {
    name: 'max-embedded',
    value: 'BYTES',
    help: 'Largest unlinked file to save with its content, like 512Mi',
  },
  { name: 'timeout', value: 'DURATION', help: 'Give up after this time and let the pod go on' },
  {
    name: 'max-freeze',
    value: 'DURATION',
    help: 'Longest time that the pod may stand still, whole seconds',
  },
  { name: 'max-bytes', value: 'BYTES', help: 'Largest bundle, like 20Gi' },
  {
    name: 'deletion-policy',
    value: 'WHAT',
    choices: ['Delete', 'Retain'],
    help: 'Whether the bundle goes with the Checkpoint',
  },
  { name: 'hold', help: 'No schedule deletes it' },
  ...CREATE_OPTIONS,
];

export const checkpointVerb: Verb = {
  name: 'checkpoint',
  summary: 'Save a running pod; it runs on',
  positionals: [{ name: 'POD', required: true, completes: 'pod' }],
  options: OPTIONS,
  examples: [
    'checkpoint redis',
    'checkpoint redis --name before-upgrade --store fast',
    'checkpoint redis --after-dump DeletePod',
    'checkpoint redis --dry-run -o yaml',
  ],
  async run(args, session) {
    // Without a namespace of one's own choice, a client dry run prints none either: no cluster is needed for it.
    const offline = args.text('dry-run') === 'client';
    const namespace = offline ? args.text('namespace') : (await session.connect()).namespace;
    const object = checkpointOf(args, namespace, Date.now());
    return await createAndFollow({ kind: CHECKPOINT, object, told: savedSentence }, args, session);
  },
};

/** The Checkpoint that the options describe (pure). */
export function checkpointOf(
  args: Arguments,
  namespace: string | undefined,
  nowMillis: number,
): Checkpoint {
  const [pod = ''] = args.positionals;
  const name = args.text('name') ?? nameWithTime(pod, nowMillis);
  return {
    apiVersion: API_VERSION,
    kind: 'Checkpoint',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: withoutUndefined(specOf(args, pod)),
  };
}

/** With undefined wherever nothing was said. */
function specOf(args: Arguments, pod: string): CheckpointSpec {
  const containers = args.texts('container');
  const store = args.text('store');
  const spec = {
    source: { pod: { name: pod, containers: containers.length === 0 ? undefined : containers } },
    storeRef: store === undefined ? undefined : { name: store },
    afterDump: args.text('after-dump') as AfterDump | undefined,
    include: { rootfsDiff: args.text('rootfs-diff') as RootfsDiff | undefined },
    sockets: { established: args.text('established') as EstablishedSockets | undefined },
    openResources: { maxEmbeddedBytes: args.text('max-embedded') },
    limits: {
      timeoutSeconds: args.seconds('timeout'),
      maxFreezeSeconds: args.seconds('max-freeze'),
      maxBytes: args.text('max-bytes'),
    },
    retention: {
      deletionPolicy: args.text('deletion-policy') as DeletionPolicy | undefined,
      hold: args.flag('hold') ? true : undefined,
    },
  };
  return spec as CheckpointSpec;
}

function savedSentence({ status }: Checkpoint): string {
  const { bundle, timing } = status ?? {};
  const facts = [
    bundle && `${bundle.size} saved`,
    timing?.startTime &&
      timing.completionTime &&
      `took ${formatDuration(Date.parse(timing.completionTime) - Date.parse(timing.startTime))}`,
    timing?.freeze && `the pod stood still for ${timing.freeze}`,
  ].filter((fact) => fact !== undefined && fact !== '');
  return `ready${facts.length === 0 ? '' : `: ${facts.join(', ')}`}`;
}
