// Many small files of /proc in one way into native code.
import { SYS } from '../../arch/x86-64.ts';
import { CallBatch } from '../call-batch.ts';
import { tryReadSmallProc } from './read.ts';

const AT_FDCWD = -100;
const O_RDONLY_CLOEXEC = 0o2000000;
const FILES = 32;
const PATH_BYTES = 128;
/** What is longer is read once more, alone. */
const TEXT_BYTES = 3968;
const ROOM_BYTES = PATH_BYTES + TEXT_BYTES;

/** Calls for one file, in this order. */
const CALL = { OPEN: 0, READ: 1, CLOSE: 2 } as const;
const CALLS = 3;

const batch = new CallBatch(FILES * CALLS, FILES * ROOM_BYTES);

for (let i = 0; i < FILES; i++) {
  const call = (which: number): number => i * CALLS + which;
  const [path, text] = [batch.at(i * ROOM_BYTES), batch.at(i * ROOM_BYTES + PATH_BYTES)];
  batch.set(call(CALL.OPEN), SYS.openat, AT_FDCWD, path, O_RDONLY_CLOEXEC, 0);
  batch.set(call(CALL.READ), SYS.read, { call: call(CALL.OPEN) }, text, TEXT_BYTES);
  batch.set(call(CALL.CLOSE), SYS.close, { call: call(CALL.OPEN) });
}

/**
 * As {@link tryReadSmallProc}, for files of one record: status, children.
 *
 * @returns texts in the order of the paths, undefined of a file that is gone
 */
export function readSmallFiles(paths: readonly string[]): (string | undefined)[] {
  const texts: (string | undefined)[] = [];
  for (let from = 0; from < paths.length; from += FILES) {
    const some = paths.slice(from, from + FILES);
    some.forEach((path, i) => {
      const end = batch.data.write(path, i * ROOM_BYTES, PATH_BYTES - 1, 'latin1');
      batch.data[i * ROOM_BYTES + end] = 0;
    });
    batch.run(some.length * CALLS);
    some.forEach((path, i) => texts.push(textOf(path, i)));
  }
  return texts;
}

function textOf(path: string, i: number): string | undefined {
  const got = batch.result(i * CALLS + CALL.READ);
  if (got < 0 && path.length < PATH_BYTES) return undefined;
  // A record that fills a page may have been cut short there.
  if (got < 0 || got > TEXT_BYTES / 2) return tryReadSmallProc(path);
  const at = i * ROOM_BYTES + PATH_BYTES;
  return batch.data.toString('latin1', at, at + got);
}
