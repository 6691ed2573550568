// The kinds of ours that the command line speaks of: what they are called and where they are kept.
import { type Condition, GROUP, type Report, type TypedObject, VERSION } from '../crds/meta.ts';
import { findCondition } from '../kube/conditions.ts';
import type { ObjectRef } from '../kube/keys.ts';
import type { ResourceType } from '../kube/resource-types.ts';
import { usageError } from './cli-error.ts';

/** What our kinds have in common. */
export interface DiapauseObject extends TypedObject {
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly progress?: {
      readonly stage: string;
      readonly bytesDone: number;
      readonly bytesTotal: number;
    };
    readonly report?: readonly Report[];
    readonly timing?: { readonly startTime?: string; readonly completionTime?: string };
  };
}

export interface Kind {
  readonly kind: string;
  readonly singular: string;
  readonly shortName: string;
  readonly type: ResourceType;
}

function define(kind: string, shortName: string): Kind {
  const singular = kind.toLowerCase();
  const type = { group: GROUP, version: VERSION, plural: `${singular}s`, namespaced: true };
  return { kind, singular, shortName, type };
}

export const CHECKPOINT = define('Checkpoint', 'chk');
export const RESTORE = define('Restore', 'rst');
export const MIGRATION = define('Migration', 'mig');
export const GROUP_KIND = define('CheckpointGroup', 'chkg');
export const SCHEDULE = define('CheckpointSchedule', 'chks');
export const STORE = define('CheckpointStore', 'chkst');

/** Kinds that `status` lists and that can be named on the command line. */
export const LISTED_KINDS: readonly Kind[] = [CHECKPOINT, GROUP_KIND, RESTORE, MIGRATION, SCHEDULE];

/** An object of the command line, `checkpoint/redis-1`. */
export interface NamedObject {
  readonly kind: Kind;
  readonly name: string;
}

/** The kind that a word means: name, plural, short name, any of them with the group. */
export function kindNamed(word: string): Kind | undefined {
  const bare = word.toLowerCase().replace(`.${GROUP}`, '');
  return LISTED_KINDS.find(({ singular, shortName, type }) =>
    [singular, shortName, type.plural].includes(bare),
  );
}

/** Reads `TYPE/NAME ...` and `TYPE NAME ...`. @throws CliError for anything else */
export function namedObjects(words: readonly string[], verb: string): readonly NamedObject[] {
  const [first = '', ...names] = words;
  const shared = first.includes('/') ? undefined : kindNamed(first);
  if (shared !== undefined && names.length > 0) {
    return names.map((name) => ({ kind: shared, name }));
  }
  return words.map((word) => {
    const [kindWord = '', name = ''] = word.split('/', 2);
    const kind = kindNamed(kindWord);
    if (kind === undefined || name === '') {
      const known = LISTED_KINDS.map(({ singular }) => `${singular}/NAME`).join(', ');
      throw usageError(`"${word}" names no object; write ${known}`, verb);
    }
    return { kind, name };
  });
}

/** `checkpoint.diapause.dev/redis-1`, as `-o name` prints it. */
export function qualifiedName({ kind, metadata }: TypedObject): string {
  return `${kind.toLowerCase()}.${GROUP}/${metadata.name}`;
}

export function refOf({ metadata: { namespace, name } }: TypedObject): ObjectRef {
  return { ...(namespace === undefined ? {} : { namespace }), name };
}

export type End = 'ready' | 'failed';

/** How an object's work ended; undefined while it goes on. */
export function endOf({ status }: DiapauseObject): End | undefined {
  if (findCondition(status?.conditions, 'Failed')?.status === 'True') {
    return 'failed';
  }
  return findCondition(status?.conditions, 'Ready')?.status === 'True' ? 'ready' : undefined;
}
