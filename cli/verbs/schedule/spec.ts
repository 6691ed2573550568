// The CheckpointSchedule that the options describe (pure).
import type {
  CheckpointSchedule,
  CheckpointScheduleSpec,
  ConcurrencyPolicy,
} from '../../../crds/checkpoint-schedule.ts';
import { API_VERSION } from '../../../crds/meta.ts';
import type { Arguments } from '../../arguments/arguments.ts';
import { withoutUndefined } from '../../create.ts';

/** @throws CliError when nothing selects pods */
export function scheduleOf(args: Arguments, namespace: string | undefined): CheckpointSchedule {
  const [, name = ''] = args.positionals;
  const store = args.text('store');
  const matchLabels = args.pairs('selector');
  if (matchLabels === undefined) {
    // An empty selector selects every pod of the namespace: nobody shall do that by forgetting an option.
    throw args.wrong('--selector is missing: which pods, as KEY=VALUE');
  }
  const spec = {
    schedule: args.text('cron'),
    timeZone: args.text('time-zone'),
    jitterSeconds: args.seconds('jitter'),
    startingDeadlineSeconds: args.seconds('starting-deadline'),
    concurrencyPolicy: args.text('concurrency') as ConcurrencyPolicy | undefined,
    triggers: {
      onNodeDrain: args.flag('on-node-drain') ? true : undefined,
      onAnnotation: args.flag('on-annotation') ? true : undefined,
    },
    selector: { matchLabels },
    maxPodsPerRun: args.integer('max-pods', 1),
    template: { spec: { storeRef: store === undefined ? undefined : { name: store } } },
    retention: {
      keepLast: args.integer('keep-last', 1),
      keepHourly: args.integer('keep-hourly', 1),
      keepDaily: args.integer('keep-daily', 1),
      keepWeekly: args.integer('keep-weekly', 1),
      keepWithin: args.text('keep-within'),
      maxBytes: args.text('max-bytes'),
    },
  };
  return {
    apiVersion: API_VERSION,
    kind: 'CheckpointSchedule',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: withoutUndefined(spec as unknown as CheckpointScheduleSpec),
  };
}
