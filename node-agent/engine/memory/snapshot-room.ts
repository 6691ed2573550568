// Is there room for snapshots, before they are taken and while they are read? Every page that the application writes to
// meanwhile exists twice, charged to its own cgroup.
import type { Finding } from '../finding.ts';
import { enoughRoom, LAST_ROOM_BYTES } from './headroom.ts';
import type { ProcessMemory } from './mappings.ts';

/** The application came too close to its memory limit while its snapshot lived. */
export class SnapshotRoomError extends Error {
  readonly pid: number;
  readonly roomBytes: number;
  constructor(pid: number, roomBytes: number) {
    super(
      `the application has only ${roomBytes} bytes left below its memory limit, so the snapshot of process ${pid} was given up; raise the limit`,
    );
    this.name = 'SnapshotRoomError';
    this.pid = pid;
    this.roomBytes = roomBytes;
  }
}

/** @returns a note when the pages of all these processes are better copied while they stand still */
export function lackOfRoom(memories: readonly ProcessMemory[]): Finding | undefined {
  for (const group of new Set(memories.map(({ gauge }) => gauge.group))) {
    const members = memories.filter(({ gauge }) => gauge.group === group);
    const anonymous = members.reduce((sum, { anonymousBytes }) => sum + anonymousBytes, 0);
    const [first] = members;
    if (enoughRoom(first?.roomBytes, anonymous)) continue;
    return {
      code: 'SnapshotRoom',
      severity: 'note',
      pid: first?.process.nsPid ?? 0,
      object: `${first?.roomBytes} bytes below the memory limit, ${anonymous} in use`,
      advice: 'it stands still until its pages are copied; a higher memory limit avoids that',
    };
  }
  return undefined;
}

const LOOK_EVERY_BYTES = 16 << 20;

/**
 * Watches the limit while a snapshot is read.
 *
 * @returns to be called with the bytes read so far; throws SnapshotRoomError
 */
export function watchRoom({ process, gauge }: ProcessMemory): (doneBytes: number) => void {
  let next = 0;
  return (doneBytes) => {
    if (doneBytes < next) return;
    next = doneBytes + LOOK_EVERY_BYTES;
    const bytes = gauge.read();
    if (bytes !== undefined && bytes < LAST_ROOM_BYTES) {
      throw new SnapshotRoomError(process.nsPid, bytes);
    }
  };
}
