// Everything about one object, for people (pure).
import type { DiapauseObject } from '../../kinds.ts';
import { age } from '../../output/age.ts';
import { plainProgress } from '../../output/progress.ts';
import { table } from '../../output/table.ts';
import { COLUMNS } from './columns.ts';

export function describeObject(object: DiapauseObject, nowMillis: number): string {
  const { metadata, status, kind } = object;
  const columns = COLUMNS[kind] ?? [];
  const facts = [
    [kind, metadata.name],
    ['Namespace', metadata.namespace ?? ''],
    ['Age', age(metadata.creationTimestamp, nowMillis)],
    ...columns.map(([title, cell]) => [capitalized(title), cell(object) ?? '']),
    ['Progress', plainProgress(object)],
    ['Findings', findings(status?.report)],
  ].filter(([, value]) => value !== '');
  const conditions = (status?.conditions ?? []).map(
    ({ type, status: state, reason, message, lastTransitionTime }) => [
      type,
      state,
      age(lastTransitionTime, nowMillis),
      reason,
      message,
    ],
  );
  return [
    table(facts.map(([title = '', value = '']) => [`${title}:`, value])),
    conditions.length === 0
      ? 'no condition yet: the controller has not looked at it\n'
      : table([['CONDITION', 'STATUS', 'SINCE', 'REASON', 'MESSAGE'], ...conditions]),
  ].join('\n');
}

function findings(report: NonNullable<DiapauseObject['status']>['report']): string {
  const counts = new Map<string, number>();
  for (const { severity } of report ?? []) {
    counts.set(severity, (counts.get(severity) ?? 0) + 1);
  }
  return [...counts].map(([severity, count]) => `${count} ${severity}`).join(', ');
}

const capitalized = (title: string): string => title.slice(0, 1) + title.slice(1).toLowerCase();
