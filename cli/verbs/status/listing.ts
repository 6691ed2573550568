// Objects as one table for each kind, newest last (pure).
import { findCondition } from '../../../kube/conditions.ts';
import { type DiapauseObject, type Kind, LISTED_KINDS } from '../../kinds.ts';
import { age } from '../../output/age.ts';
import { plainProgress } from '../../output/progress.ts';
import { table } from '../../output/table.ts';
import { COLUMNS } from './columns.ts';

export interface ListingOptions {
  readonly everywhere: boolean;
  readonly nowMillis: number;
}

export function listing(objects: readonly DiapauseObject[], options: ListingOptions): string {
  return LISTED_KINDS.map((kind) => section(kind, objects, options))
    .filter((text) => text !== '')
    .join('\n');
}

function section(kind: Kind, objects: readonly DiapauseObject[], options: ListingOptions): string {
  const own = objects
    .filter((object) => object.kind === kind.kind)
    .toSorted(
      (a, b) => compare(createdAt(a), createdAt(b)) || compare(a.metadata.name, b.metadata.name),
    );
  if (own.length === 0) {
    return '';
  }
  const columns = COLUMNS[kind.kind] ?? [];
  const where = options.everywhere ? ['NAMESPACE'] : [];
  const header = [
    ...where,
    kind.kind.toUpperCase(),
    ...columns.map(([title]) => title),
    'READY',
    'REASON',
    'PROGRESS',
    'AGE',
  ];
  const rows = own.map((object) => [
    ...(options.everywhere ? [object.metadata.namespace ?? ''] : []),
    object.metadata.name,
    ...columns.map(([, cell]) => cell(object) ?? ''),
    ...state(object),
    age(object.metadata.creationTimestamp, options.nowMillis),
  ]);
  return table([header, ...rows]);
}

function state(object: DiapauseObject): readonly string[] {
  const ready = findCondition(object.status?.conditions, 'Ready');
  return [ready?.status ?? 'Unknown', ready?.reason ?? 'Pending', plainProgress(object)];
}

const createdAt = ({ metadata }: DiapauseObject): string => metadata.creationTimestamp ?? '';

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
