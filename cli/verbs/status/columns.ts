// What `status` tells of each kind besides its state (pure). The same facts as the printer columns in crds/.
import type { Checkpoint } from '../../../crds/checkpoint.ts';
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
  Restore: [
    column<Restore>('CHECKPOINT', ({ spec }) => spec.checkpointRef.name),
    column<Restore>('POD', ({ status }) => status?.pod?.name),
    column<Restore>('NODE', ({ status }) => status?.pod?.node),
  ],
};
