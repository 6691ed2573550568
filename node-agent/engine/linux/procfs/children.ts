// Who are the children of a process: each of its threads has a list of its own.
import { threadIds } from './read.ts';
import { readSmallFiles } from './read-many.ts';

/** Children of all threads of a process, ascending. */
export function childPids(pid: number): number[] {
  const lists = readSmallFiles(threadIds(pid).map((tid) => `/proc/${pid}/task/${tid}/children`));
  const children = lists.flatMap((text = '') => text.split(' ').filter(Boolean).map(Number));
  return children.sort((a, b) => a - b);
}
