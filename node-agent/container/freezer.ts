// Letting a frozen container go on. Freezing is the engine's business; thawing must work without it.
import { readFileSync, writeFileSync } from 'node:fs';
import { errnoOf } from '../task-failure.ts';

const isV1 = (freezerFile: string): boolean => freezerFile.endsWith('/freezer.state');

/**
 * Thaws a container; one that is not frozen stays as it is.
 *
 * @param freezerFile `cgroup.freeze` or `freezer.state`
 * @returns false when the group is gone, and its processes with it
 */
export function thaw(freezerFile: string): boolean {
  try {
    writeFileSync(freezerFile, isV1(freezerFile) ? 'THAWED' : '0', { flag: 'r+' });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') {
      return false;
    }
    throw error;
  }
}

/** Is the group frozen, or on its way there? */
export function isFrozen(freezerFile: string): boolean {
  const text = readFileSync(freezerFile, 'latin1').trim();
  return isV1(freezerFile) ? text !== 'THAWED' : text === '1';
}
