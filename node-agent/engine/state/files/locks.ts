// File locks: told in fdinfo, not saved yet.
import { fdInfoValue } from './fdinfo.ts';
import type { OpenFile } from './open-file.ts';

/** Refuses a file with locks. @returns whether it did */
export function refuseLocks(file: OpenFile): boolean {
  const lock = fdInfoValue(file.info, 'lock');
  if (lock === undefined) return false;
  file.refuse('FileLock', `it is locked (${lock}): checkpoint while no lock is held`);
  return true;
}
