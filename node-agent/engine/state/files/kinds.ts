// The kinds of open files, in order: the first that recognises a file has it. The only register.
import { eventfd } from './eventfd.ts';
import type { FileKind } from './file-kind.ts';
import { pipe } from './pipe.ts';
import { regular } from './regular.ts';

export const FILE_KINDS: readonly FileKind[] = [regular, pipe, eventfd];
