// What reconcilers tell the outside: events for people, ends for metrics. Nothing of it may fail or block.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { Migration } from '../../crds/migration.ts';
import type { Restore } from '../../crds/restore.ts';
import type { Occurrence } from '../../kube/events.ts';

export interface Listener {
  happened(event: Occurrence): void;
  /** it became Ready or failed for good just now */
  checkpointEnded(checkpoint: Checkpoint): void;
  restoreEnded(restore: Restore): void;
  migrationEnded(migration: Migration): void;
}
