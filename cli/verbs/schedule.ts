// schedule: save pods again and again. Creates a CheckpointSchedule, runs one now, holds one back, lets it go on.
import type { CheckpointSchedule } from '../../crds/checkpoint-schedule.ts';
import { REASONS } from '../../crds/conditions.ts';
import { findCondition } from '../../kube/conditions.ts';
import { waitForObject } from '../../kube/wait.ts';
import type { Arguments } from '../arguments/arguments.ts';
import { CREATE_OPTIONS, type Option } from '../arguments/option.ts';
import type { Verb } from '../arguments/verb.ts';
import { CliError } from '../cli-error.ts';
import { announce, create } from '../create.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { SCHEDULE } from '../kinds.ts';
import type { Session } from '../session.ts';
import { scheduleOf } from './schedule/spec.ts';

const ACTIONS = ['create', 'run', 'suspend', 'resume'] as const;
/** The controller looks at once, unless Checkpoints of an earlier run are under way. */
const WAIT_MILLIS = 60_000;

const OPTIONS: readonly Option[] = [
  {
    name: 'cron',
    value: 'FIELDS',
    help: 'When: five cron fields, or @hourly, @daily ...; without it, only triggers start runs',
  },
  {
    name: 'time-zone',
    value: 'ZONE',
    help: 'Of the cron fields, like Europe/Berlin; without it, Etc/UTC',
  },
  {
    name: 'selector',
    short: 'l',
    value: 'KEY=VALUE',
    repeated: true,
    help: 'Label of the pods to save',
  },
  {
    name: 'store',
    value: 'NAME',
    completes: 'store',
    help: "CheckpointStore for the bundles; without it, the namespace's default one",
  },
  { name: 'keep-last', value: 'N', help: 'Keep the last N runs' },
  { name: 'keep-hourly', value: 'N', help: 'Keep one run of each of the last N hours' },
  { name: 'keep-daily', value: 'N', help: 'Keep one run of each of the last N days' },
  { name: 'keep-weekly', value: 'N', help: 'Keep one run of each of the last N weeks' },
  { name: 'keep-within', value: 'DURATION', help: 'Keep all runs of this time, like 36h' },
  { name: 'max-bytes', value: 'BYTES', help: 'Keep no more bundles than fit in this, like 20Gi' },
  { name: 'max-pods', value: 'N', help: 'Save no more pods in one run' },
  {
    name: 'jitter',
    value: 'DURATION',
    help: 'Begin up to this much later, always the same for one schedule',
  },
  { name: 'starting-deadline', value: 'DURATION', help: 'Leave out a run that is later than this' },
  {
    name: 'concurrency',
    value: 'POLICY',
    choices: ['Allow', 'Forbid', 'Replace'],
    help: 'While Checkpoints of an earlier run are under way',
  },
  { name: 'on-node-drain', help: 'Save the pods of a node when it is cordoned' },
  {
    name: 'on-annotation',
    help: 'Save a pod when its annotation diapause.dev/checkpoint-now changes',
  },
  ...CREATE_OPTIONS.filter(({ name }) => name !== 'name'),
];

export const scheduleVerb: Verb = {
  name: 'schedule',
  summary: 'Save pods again and again: create a schedule, run it now, suspend or resume it',
  positionals: [
    { name: 'ACTION', required: true, choices: ACTIONS },
    { name: 'NAME', required: true, completes: 'schedule' },
  ],
  options: OPTIONS,
  examples: [
    'schedule create redis --cron "*/15 * * * *" -l app=redis --keep-last 4 --keep-daily 7',
    'schedule run redis',
    'schedule suspend redis',
  ],
  async run(args, session) {
    const [action = '', name = ''] = args.positionals;
    switch (action as (typeof ACTIONS)[number]) {
      case 'create':
        return await createSchedule(args, session);
      case 'run':
        return await runNow(name, args, session);
      case 'suspend':
        return await suspend(name, true, args, session);
      case 'resume':
        return await suspend(name, false, args, session);
    }
  },
};

async function createSchedule(args: Arguments, session: Session): Promise<ExitCode> {
  const offline = args.text('dry-run') === 'client';
  const namespace = offline ? args.text('namespace') : (await session.connect()).namespace;
  const created = await create(SCHEDULE, scheduleOf(args, namespace), args, session);
  if (created === undefined) {
    return EXIT.done;
  }
  const judged = await until(created, args, session, ({ status }) => readyOf(status) !== undefined);
  const { reason = '', message = '', status } = readyOf(judged.status) ?? {};
  if (classOf(reason) === 'failure') {
    throw new CliError(
      `${label(judged)} cannot run: ${reason}: ${message}`,
      `correct it: kubectl edit ${label(judged)}`,
      EXIT.failed,
    );
  }
  const next = judged.status?.nextScheduleTime;
  const sentence =
    status === 'True' ? `the next run begins at ${next ?? 'a trigger'}` : `${reason}: ${message}`;
  announce(judged, `created: ${sentence}`, args, session);
  return EXIT.done;
}

/** A run is asked for by a token that was not there before; the status tells when it was honoured. */
async function runNow(name: string, args: Arguments, session: Session): Promise<ExitCode> {
  const token = new Date().toISOString();
  const asked = await patch(name, { runNow: token }, args, session);
  if (args.flag('no-wait') || isDryRun(args)) {
    announce(asked, 'asked to run', args, session);
    return EXIT.done;
  }
  const honoured = await until(
    asked,
    args,
    session,
    ({ status }) => status?.lastRunToken === token,
  );
  announce(honoured, ranSentence(honoured), args, session);
  return EXIT.done;
}

async function suspend(
  name: string,
  value: boolean,
  args: Arguments,
  session: Session,
): Promise<ExitCode> {
  const schedule = await patch(name, { suspend: value }, args, session);
  announce(schedule, value ? 'suspended' : 'resumed', args, session);
  return EXIT.done;
}

async function patch(
  name: string,
  spec: Partial<CheckpointSchedule['spec']>,
  args: Arguments,
  session: Session,
): Promise<CheckpointSchedule> {
  const { namespace } = await session.connect();
  const resource = await session.resource<CheckpointSchedule>(SCHEDULE);
  // What a patch makes of an object only the server knows, so a client dry run asks it, too.
  return await resource.mergePatch({ namespace, name }, { spec }, { dryRun: isDryRun(args) });
}

const isDryRun = (args: Arguments): boolean => (args.text('dry-run') ?? 'none') !== 'none';

/** Waits for the controller's word. */
async function until(
  { metadata }: CheckpointSchedule,
  args: Arguments,
  session: Session,
  isSo: (schedule: CheckpointSchedule) => boolean,
): Promise<CheckpointSchedule> {
  const resource = await session.resource<CheckpointSchedule>(SCHEDULE);
  const timeoutMillis = args.durationMillis('wait-timeout') ?? WAIT_MILLIS;
  const { signal } = session;
  const seen = await waitForObject(
    resource,
    metadata,
    (object) => object === undefined || isSo(object),
    {
      timeoutMillis,
      signal,
    },
  );
  if (seen === undefined) {
    throw new CliError(
      `checkpointschedule/${metadata.name} was deleted`,
      'create it again if it is still wanted',
      EXIT.failed,
    );
  }
  return seen;
}

function ranSentence({ status }: CheckpointSchedule): string {
  const { lastRun, lastSkipped } = status ?? {};
  return lastSkipped !== undefined && lastSkipped.time > (lastRun?.time ?? '')
    ? `did not run: ${lastSkipped.reason}: ${lastSkipped.message}`
    : `runs: ${lastRun?.pods ?? 0} pods; kubectl diapause status shows their Checkpoints`;
}

const readyOf = (status: CheckpointSchedule['status']) =>
  findCondition(status?.conditions, 'Ready');

const classOf = (reason: string): string | undefined =>
  (REASONS as Readonly<Record<string, { readonly class: string }>>)[reason]?.class;

const label = ({ metadata }: CheckpointSchedule): string => `checkpointschedule/${metadata.name}`;
