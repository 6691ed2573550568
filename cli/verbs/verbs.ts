// The verbs, in the order of the help. The only register.
import type { Verb } from '../arguments/verb.ts';
import { checkpointVerb } from './checkpoint.ts';
import { completionVerb } from './completion.ts';
import { inspectVerb } from './inspect.ts';
import { logsVerb } from './logs.ts';
import { migrateVerb } from './migrate.ts';
import { reportVerb } from './report.ts';
import { restoreVerb } from './restore.ts';
import { rewindVerb } from './rewind.ts';
import { scheduleVerb } from './schedule.ts';
import { statusVerb } from './status.ts';
import { waitVerb } from './wait.ts';

export const VERBS: readonly Verb[] = [
  checkpointVerb,
  restoreVerb,
  rewindVerb,
  migrateVerb,
  scheduleVerb,
  statusVerb,
  waitVerb,
  reportVerb,
  logsVerb,
  inspectVerb,
  completionVerb,
];
