// metav1.LabelSelector: whether labels fulfil it, and how one asks the API server for it (pure).
import type { LabelSelector } from '../crds/meta.ts';

type Expression = NonNullable<LabelSelector['matchExpressions']>[number];

/** @returns the text of a `labelSelector` query; '' selects everything */
export function selectorText({ matchLabels, matchExpressions }: LabelSelector): string {
  const equalities = Object.entries(matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  return [...equalities, ...(matchExpressions ?? []).map(expressionText)].join(',');
}

/** As the API server would say: NotIn holds for objects without the label, too. */
export function selects(
  { matchLabels, matchExpressions }: LabelSelector,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  return (
    Object.entries(matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (matchExpressions ?? []).every(({ key, operator, values = [] }) =>
      fulfils(operator, values, labels[key]),
    )
  );
}

function expressionText({ key, operator, values = [] }: Expression): string {
  switch (operator) {
    case 'In':
      return `${key} in (${values.join(',')})`;
    case 'NotIn':
      return `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}

/** @param value of the label; undefined without it */
export function fulfils(
  operator: Expression['operator'],
  values: readonly string[],
  value: string | undefined,
): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}
