// The first process of a standalone tree.
import { clockOf } from '../linux/clocks.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { INIT_NAME, openInitProgram, spawnProgram } from '../linux/spawn.ts';
import { lateness, type SavedClocks } from './saved-clocks.ts';
import { advanceClocksOfChildren, hasClocksOfChildren } from './time-namespace.ts';

/**
 * Starts the placeholder's program under the saved pid, as a child of the engine.
 *
 * @param asSibling as a child of whoever has started the engine
 * @param clocks that must not run backwards: if they would here, the tree gets a time namespace of its own
 * @returns its pid
 */
export function spawnRoot(
  pid: number,
  clocks: SavedClocks | undefined,
  asSibling: boolean,
): number {
  const late = clocks && lateness(clocks, (id) => clockOf('self', id));
  if (late) advanceClocksOfChildren(late);
  using program = openInitProgram();
  const root = spawnProgram({ executable: program.fd, argv: [INIT_NAME, 'stand'], pid, asSibling });
  if (!late || hasClocksOfChildren(root)) return root;
  sendSignal(root, SIGNAL.SIGKILL);
  throw new Error('its clocks would run backwards here: restore it on Linux 6.2 or newer');
}
