// rewind: make a running pod what it was when it was saved.
import { API_VERSION } from '../../crds/meta.ts';
import type { Restore } from '../../crds/restore.ts';
import type { Arguments } from '../arguments/arguments.ts';
import { CREATE_OPTIONS, type Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { createAndFollow, nameWithTime, withoutUndefined } from '../create.ts';
import { RESTORE } from '../kinds.ts';

const OPTIONS: readonly Option[] = [
  { name: 'uid', value: 'UID', help: 'Only the pod with this uid, no successor of its name' },
  { name: 'timeout', value: 'DURATION', help: 'Give up after this time' },
  ...CREATE_OPTIONS,
];

export const rewindVerb: Verb = {
  name: 'rewind',
  summary: 'Make a running pod again what it was when it was saved',
  positionals: [
    { name: 'POD', required: true, completes: 'pod' },
    { name: 'CHECKPOINT', required: true, completes: 'checkpoint' },
  ],
  options: OPTIONS,
  examples: ['rewind redis redis-1', 'rewind redis redis-1 --no-wait -o name'],
  async run(args, session) {
    const offline = args.text('dry-run') === 'client';
    const namespace = offline ? args.text('namespace') : (await session.connect()).namespace;
    const object = rewindOf(args, namespace, Date.now());
    return await createAndFollow({ kind: RESTORE, object, told: rewoundSentence }, args, session);
  },
};

/** The Restore that the options describe (pure). */
export function rewindOf(
  args: Arguments,
  namespace: string | undefined,
  nowMillis: number,
): Restore {
  const [givenPod = '', givenCheckpoint = ''] = args.positionals;
  const pod = givenPod.replace(/^(pods?|po)\//, '');
  const checkpoint = givenCheckpoint.replace(/^(checkpoints?|chk)(\.diapause\.dev)?\//, '');
  const uid = args.text('uid');
  const timeoutSeconds = args.seconds('timeout');
  const podRef = { name: pod, ...(uid !== undefined && { uid }) };
  return {
    apiVersion: API_VERSION,
    kind: 'Restore',
    metadata: {
      name: args.text('name') ?? nameWithTime(checkpoint, nowMillis),
      ...(namespace === undefined ? {} : { namespace }),
    },
    spec: withoutUndefined({
      checkpointRef: { name: checkpoint },
      target: { type: 'InPlace', inPlace: { podRef } },
      ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    }),
  };
}

function rewoundSentence({ status }: Restore): string {
  const { pod, timing } = status ?? {};
  const where = pod === undefined ? '' : `: pod ${pod.name} goes on where it was saved`;
  const took =
    timing?.restoreMillis === undefined
      ? ''
      : `, processes rebuilt in ${Math.round(timing.restoreMillis)}ms`;
  return `ready${where}${took}`;
}
