// CheckpointSchedule: save pods again and again, and keep what is worth keeping. Written by users; status by the
// controller.
import type { CheckpointSpec, DeletionPolicy, Quantity } from './checkpoint.ts';
import type { Condition, LabelSelector, ObjectMeta, TypedObject } from './meta.ts';

/** What a run does about Checkpoints of earlier runs that are not finished. */
export type ConcurrencyPolicy = 'Allow' | 'Forbid' | 'Replace';

/** What made a run begin. */
export const TRIGGERS = ['Schedule', 'RunNow', 'NodeDrain', 'Annotation'] as const;
export type Trigger = (typeof TRIGGERS)[number];

export interface ScheduleTriggers {
  /** save the pods of a node when it is cordoned */
  readonly onNodeDrain?: boolean;
  /** save a pod when its annotation `diapause.dev/checkpoint-now` gets another value */
  readonly onAnnotation?: boolean;
  /** de-duplication window of everything that starts a run */
  readonly minIntervalSeconds?: number;
}

/** What a Checkpoint of this schedule looks like; it never stops or deletes its pod. */
export interface ScheduleTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Pick<
    CheckpointSpec,
    'storeRef' | 'include' | 'sockets' | 'openResources' | 'limits' | 'hooks'
  > & {
    readonly containers?: readonly string[];
    readonly retention?: { readonly deletionPolicy?: DeletionPolicy };
  };
}

/**
 * The union of all `keep` rules stays, counted by workload and run; then `maxBytes` takes from the oldest. No rule at
 * all keeps everything. The newest of each workload always stays.
 */
export interface ScheduleRetention {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  /** Go duration, counted back from the newest */
  readonly keepWithin?: string;
  readonly maxBytes?: Quantity;
}

export interface CheckpointScheduleSpec {
  /** five cron fields, or @daily and the like; none: only triggers and `runNow` start runs */
  readonly schedule?: string;
  readonly timeZone?: string;
  readonly jitterSeconds?: number;
  readonly startingDeadlineSeconds?: number;
  readonly concurrencyPolicy?: ConcurrencyPolicy;
  readonly suspend?: boolean;
  /** any new value starts a run */
  readonly runNow?: string;
  readonly triggers?: ScheduleTriggers;
  readonly selector: LabelSelector;
  readonly maxPodsPerRun?: number;
  readonly template?: ScheduleTemplate;
  readonly successfulHistoryLimit?: number;
  readonly failedHistoryLimit?: number;
  readonly retention?: ScheduleRetention;
}

/** The defaults of the schema, for objects that did not pass through the API server. */
export const SCHEDULE_DEFAULTS = {
  timeZone: 'Etc/UTC',
  jitterSeconds: 0,
  concurrencyPolicy: 'Forbid',
  suspend: false,
  onNodeDrain: false,
  onAnnotation: false,
  minIntervalSeconds: 60,
  failedHistoryLimit: 1,
  retention: { keepLast: 3 },
} as const;

export interface CheckpointScheduleStatus {
  readonly observedGeneration?: number;
  /** for people; programs read conditions */
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
  /** the times that count, and since when: those before a change or a suspension were not missed */
  readonly cron?: { readonly schedule: string; readonly timeZone: string; readonly since: string };
  /** unfinished Checkpoints of this schedule */
  readonly active?: number;
  readonly activeCheckpoints?: readonly string[];
  /** latest time of the schedule that was dealt with, whether by a run or not */
  readonly lastScheduleTime?: string;
  readonly nextScheduleTime?: string;
  readonly lastSuccessfulTime?: string;
  /** value of `spec.runNow` that was honoured last */
  readonly lastRunToken?: string;
  readonly lastRun?: { readonly time: string; readonly trigger: Trigger; readonly pods: number };
  readonly lastSkipped?: {
    readonly time: string;
    readonly reason: string;
    readonly message: string;
  };
  readonly missedRuns?: number;
  /** cordoned nodes whose pods were taken care of */
  readonly drainedNodes?: readonly string[];
  /** annotations of pods that were honoured */
  readonly requests?: readonly { readonly podUID: string; readonly token: string }[];
  /** Checkpoints that can be restored, and their bundles */
  readonly totals?: { readonly checkpoints: number; readonly bytes: number; readonly size: string };
}

export interface CheckpointSchedule extends TypedObject {
  readonly kind: 'CheckpointSchedule';
  readonly metadata: ObjectMeta;
  readonly spec: CheckpointScheduleSpec;
  readonly status?: CheckpointScheduleStatus;
}
