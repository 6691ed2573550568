// What `status` tells of each kind besides its state (pure). The same facts as the printer columns in crds/.
import type { Checkpoint } from '../../../crds/checkpoint.ts';
import type { CheckpointGroup } from '../../../crds/checkpoint-group.ts';
import type {
  CheckpointSchedule,
  CheckpointScheduleStatus,
} from '../../../crds/checkpoint-schedule.ts';
import type { Migration } from '../../../crds/migration.ts';
import type { Restore } from '../../../crds/restore.ts';
import type { DiapauseObject } from '../../kinds.ts';

type Column = readonly [title: string, cell: (object: DiapauseObject) => string | undefined];

function column<T extends DiapauseObject>(
  title: string,
  cell: (object: T) => string | undefined,
): Column {
  return [title, (object) => cell(object as T)];
}

export const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  Checkpoint: [
    column<Checkpoint>('POD', ({ spec }) => spec.source.pod.name),
    column<Checkpoint>('NODE', ({ status }) => status?.source?.node),
    column<Checkpoint>('SIZE', ({ status }) => status?.bundle?.size),
    column<Checkpoint>('FREEZE', ({ status }) => status?.timing?.freeze),
  ],
  CheckpointGroup: [
    column<CheckpointGroup>('PODS', ({ status }) => status?.members?.length.toString()),
    column<CheckpointGroup>('RELEASED', ({ status }) => status?.timing?.releasedAt),
  ],
  Migration: [
    column<Migration>('POD', ({ spec }) => spec.podRef.name),
    column<Migration>('FROM', ({ status }) => status?.source?.node),
    column<Migration>('TO', ({ status }) => status?.target?.node),
    column<Migration>('DOWNTIME', ({ status }) => status?.downtime),
  ],
  CheckpointSchedule: [
    column<CheckpointSchedule>('SCHEDULE', ({ spec }) => spec.schedule),
    column<CheckpointSchedule>('SUSPEND', ({ spec }) => String(spec.suspend ?? false)),
    column<CheckpointSchedule>('ACTIVE', ({ status }) => status?.active?.toString()),
    column<CheckpointSchedule>('KEPT', ({ status }) => kept(status?.totals)),
    column<CheckpointSchedule>('NEXT', ({ status }) => status?.nextScheduleTime),
  ],
  Restore: [
    column<Restore>('CHECKPOINT', ({ spec }) => spec.checkpointRef.name),
    column<Restore>('POD', ({ status }) => status?.pod?.name),
    column<Restore>('NODE', ({ status }) => status?.pod?.node),
  ],
};

/** `12 (1.3Gi)` */
function kept(totals: CheckpointScheduleStatus['totals']): string | undefined {
  return totals && `${totals.checkpoints} (${totals.size})`;
}
