// migrate: move a running pod to another node.
import type { Migration, MigrationSpec, MigrationTarget, Strategy } from '../../crds/migration.ts';
import { API_VERSION } from '../../crds/meta.ts';
import type { Arguments } from '../arguments/arguments.ts';
import { CREATE_OPTIONS, type Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { createAndFollow, nameWithTime, withoutUndefined } from '../create.ts';
import { MIGRATION } from '../kinds.ts';

const STRATEGIES: readonly Strategy[] = ['Cold', 'Direct', 'PreCopy', 'PostCopy'];
const OPTIONS: readonly Option[] = [
  { name: 'to', value: 'NODE', completes: 'node', help: 'Node to move to' },
  {
    name: 'node-selector',
    value: 'KEY=VALUE',
    repeated: true,
    help: 'Any node with this label, but the present one',
  },
  { name: 'any', help: 'Any node but the present one' },
  { name: 'pod', value: 'NAME', help: 'Name of the new pod' },
  {
    name: 'store',
    value: 'NAME',
    completes: 'store',
    help: "CheckpointStore to go through; without it, the namespace's default one",
  },
  {
    name: 'strategy',
    value: 'HOW',
    choices: STRATEGIES,
    help: 'Cold: frozen, through the store; Direct: frozen, from node to node; PreCopy: most of it while it runs; PostCopy does not exist yet',
  },
  {
    name: 'bandwidth',
    value: 'BYTES',
    help: 'Most bytes per second with --strategy Direct or PreCopy, such as 100Mi',
  },
  {
    name: 'max-downtime',
    value: 'DURATION',
    help: 'Give up when the pod would stand still for longer, and let it go on where it is',
  },
  {
    name: 'timeout',
    value: 'DURATION',
    help: 'Give up after this time, and let it go on where it is',
  },
  { name: 'keep-checkpoint', help: 'Keep the Checkpoint that is made on the way' },
  ...CREATE_OPTIONS,
];

export const migrateVerb: Verb = {
  name: 'migrate',
  summary: 'Move a running pod to another node',
  positionals: [{ name: 'POD', required: true, completes: 'pod' }],
  options: OPTIONS,
  examples: [
    'migrate redis --to node-b',
    'migrate redis --any --max-downtime 5s',
    'migrate redis --to node-b --strategy Direct',
    'migrate redis --node-selector disk=fast --keep-checkpoint',
  ],
  async run(args, session) {
    const offline = args.text('dry-run') === 'client';
    const namespace = offline ? args.text('namespace') : (await session.connect()).namespace;
    const object = migrationOf(args, namespace, Date.now());
    return await createAndFollow({ kind: MIGRATION, object, told: movedSentence }, args, session);
  },
};

/** The Migration that the options describe (pure). @throws CliError unless exactly one target is named */
export function migrationOf(
  args: Arguments,
  namespace: string | undefined,
  nowMillis: number,
): Migration {
  const [pod = ''] = args.positionals;
  const store = args.text('store');
  const spec = {
    podRef: { name: pod },
    target: targetOf(args),
    newPodName: args.text('pod'),
    strategy: args.text('strategy') as Strategy | undefined,
    bandwidth: args.text('bandwidth'),
    storeRef: store === undefined ? undefined : { name: store },
    limits: {
      completionTimeoutSeconds: args.seconds('timeout'),
      maxDowntimeSeconds: args.seconds('max-downtime'),
    },
    checkpointPolicy: args.flag('keep-checkpoint') ? 'Retain' : undefined,
  };
  return {
    apiVersion: API_VERSION,
    kind: 'Migration',
    metadata: {
      name: args.text('name') ?? nameWithTime(pod, nowMillis),
      ...(namespace === undefined ? {} : { namespace }),
    },
    spec: withoutUndefined(spec as unknown as MigrationSpec),
  };
}

function targetOf(args: Arguments): MigrationTarget {
  const nodeName = args.text('to');
  const nodeSelector = args.pairs('node-selector');
  const targets: readonly MigrationTarget[] = [
    ...(nodeName === undefined ? [] : [{ nodeName }]),
    ...(nodeSelector === undefined ? [] : [{ nodeSelector }]),
    ...(args.flag('any') ? [{ any: {} }] : []),
  ];
  const [target] = targets;
  if (target === undefined || targets.length > 1) {
    throw args.wrong('where to? Exactly one of --to NODE, --node-selector KEY=VALUE and --any');
  }
  return target;
}

function movedSentence({ status }: Migration): string {
  const { target, downtime } = status ?? {};
  const where =
    target === undefined
      ? ''
      : `: pod ${target.podName}${target.node === undefined ? '' : ` on ${target.node}`}`;
  return `ready${where}${downtime === undefined ? '' : `, stood still for ${downtime}`}`;
}
