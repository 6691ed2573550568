// restore: bring a checkpointed pod back as a new pod, or as the next replica of its controller.
import { API_VERSION } from '../../crds/meta.ts';
import type { EnvOverride, Restore, RestoreSpec } from '../../crds/restore.ts';
import type { Arguments } from '../arguments/arguments.ts';
import { CREATE_OPTIONS, type Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { createAndFollow, nameWithTime, withoutUndefined } from '../create.ts';
import { RESTORE } from '../kinds.ts';

const OPTIONS: readonly Option[] = [
  { name: 'pod', value: 'NAME', help: 'Name of the new pod; without it, that of the Restore' },
  {
    name: 'node',
    value: 'NAME',
    completes: 'node',
    help: 'Node of the new pod; without it, the scheduler chooses',
  },
  { name: 'node-selector', value: 'KEY=VALUE', repeated: true, help: 'Only nodes with this label' },
  {
    name: 'label',
    short: 'l',
    value: 'KEY=VALUE',
    repeated: true,
    help: 'Label to set on the new pod',
  },
  {
    name: 'annotation',
    value: 'KEY=VALUE',
    repeated: true,
    help: 'Annotation to set on the new pod',
  },
  {
    name: 'env',
    value: '[CONTAINER:]KEY=VALUE',
    repeated: true,
    help: 'Environment for processes started later; restored ones keep theirs',
  },
  {
    name: 'adopt',
    help: "Become the next replica that the saved pod's controller makes, instead of a new pod",
  },
  { name: 'timeout', value: 'DURATION', help: 'Give up after this time' },
  ...CREATE_OPTIONS,
];

export const restoreVerb: Verb = {
  name: 'restore',
  summary: 'Bring a checkpointed pod back as a new pod',
  positionals: [{ name: 'CHECKPOINT', required: true, completes: 'checkpoint' }],
  options: OPTIONS,
  examples: [
    'restore redis-1',
    'restore redis-1 --pod redis-b --node node-b',
    'restore web-1 --adopt',
    'restore redis-1 --label app=redis-copy --no-wait -o name',
  ],
  async run(args, session) {
    const offline = args.text('dry-run') === 'client';
    const namespace = offline ? args.text('namespace') : (await session.connect()).namespace;
    const object = restoreOf(args, namespace, Date.now());
    return await createAndFollow({ kind: RESTORE, object, told: restoredSentence }, args, session);
  },
};

/** The Restore that the options describe (pure). */
export function restoreOf(
  args: Arguments,
  namespace: string | undefined,
  nowMillis: number,
): Restore {
  const [given = ''] = args.positionals;
  const checkpoint = given.replace(/^(checkpoints?|chk)(\.diapause\.dev)?\//, '');
  const name = args.text('name') ?? args.text('pod') ?? nameWithTime(checkpoint, nowMillis);
  const spec = {
    checkpointRef: { name: checkpoint },
    target: args.flag('adopt') ? nextReplica(args) : newPod(args),
    timeoutSeconds: args.seconds('timeout'),
  };
  return {
    apiVersion: API_VERSION,
    kind: 'Restore',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: withoutUndefined(spec as unknown as RestoreSpec),
  };
}

function newPod(args: Arguments): object {
  const env = args.texts('env').map((text) => envOverride(args, text));
  return {
    newPod: {
      name: args.text('pod'),
      nodeName: args.text('node'),
      overrides: {
        labels: args.pairs('label'),
        annotations: args.pairs('annotation'),
        nodeSelector: args.pairs('node-selector'),
        env: env.length === 0 ? undefined : env,
      },
    },
  };
}

function nextReplica(args: Arguments): object {
  const given = ['label', 'annotation', 'env'].find((name) => args.texts(name).length > 0);
  if (given !== undefined) {
    throw args.wrong(`--${given}: what a replica has is for its controller to say; leave it out`);
  }
  return {
    type: 'Adopt',
    adopt: {
      podName: args.text('pod'),
      nodeName: args.text('node'),
      nodeSelector: args.pairs('node-selector'),
    },
  };
}

function envOverride(args: Arguments, text: string): EnvOverride {
  const [, container, name, value] = /^(?:([a-z0-9-]+):)?([^=:]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw args.wrong(`--env: "${text}" is not [CONTAINER:]KEY=VALUE`);
  }
  return { ...(container === undefined ? {} : { container }), name, value };
}

function restoredSentence({ status }: Restore): string {
  const { pod, timing } = status ?? {};
  const where =
    pod === undefined ? '' : `: pod ${pod.name}${pod.node === undefined ? '' : ` on ${pod.node}`}`;
  const took =
    timing?.restoreMillis === undefined
      ? ''
      : `, processes rebuilt in ${Math.round(timing.restoreMillis)}ms`;
  return `ready${where}${took}`;
}
