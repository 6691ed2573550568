// metav1 conditions as values: set one, look one up, see whether a write is needed. Source: KEP-1623.
import type { Condition } from '../crds/meta.ts';
import { formatTime } from './clock.ts';

const REASON = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
const MAX_MESSAGE_LENGTH = 32_768;

/** A condition before it is known since when it holds. */
export type ConditionUpdate = Omit<Condition, 'lastTransitionTime'>;

/**
 * The list with one condition set. `lastTransitionTime` becomes now only if the status differs.
 * @returns the very same list if nothing changes
 * @throws Error for a reason that the API server would refuse
 */
export function setCondition(
  list: readonly Condition[] | undefined,
  update: ConditionUpdate,
  nowMillis: number,
): readonly Condition[] {
  if (!REASON.test(update.reason)) {
    throw new Error(`condition ${update.type}: "${update.reason}" is no CamelCase reason`);
  }
  const conditions = list ?? [];
  const index = conditions.findIndex(({ type }) => type === update.type);
  const old = conditions[index];
  const next: Condition = {
    ...update,
    message: update.message.slice(0, MAX_MESSAGE_LENGTH),
    lastTransitionTime:
      old?.status === update.status ? old.lastTransitionTime : formatTime(nowMillis),
  };
  if (old === undefined) {
    return [...conditions, next];
  }
  return sameCondition(old, next) ? conditions : conditions.with(index, next);
}

/** The list without a type; the very same list if there is none. */
export function removeCondition(
  list: readonly Condition[] | undefined,
  type: string,
): readonly Condition[] {
  const conditions = list ?? [];
  return conditions.some((condition) => condition.type === type)
    ? conditions.filter((condition) => condition.type !== type)
    : conditions;
}

export function findCondition(
  list: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return list?.find((condition) => condition.type === type);
}

/** Absent counts as Unknown. */
export function conditionStatus(
  list: readonly Condition[] | undefined,
  type: string,
): Condition['status'] {
  return findCondition(list, type)?.status ?? 'Unknown';
}

export function isConditionTrue(list: readonly Condition[] | undefined, type: string): boolean {
  return conditionStatus(list, type) === 'True';
}

/** Whether two lists say the same, in whatever order: then there is nothing to write. */
export function sameConditions(
  a: readonly Condition[] | undefined,
  b: readonly Condition[] | undefined,
): boolean {
  const left = a ?? [];
  const right = b ?? [];
  return (
    left.length === right.length &&
    left.every((condition) => {
      const other = findCondition(right, condition.type);
      return other !== undefined && sameCondition(condition, other);
    })
  );
}

function sameCondition(a: Condition, b: Condition): boolean {
  return (
    a.type === b.type &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.lastTransitionTime === b.lastTransitionTime &&
    a.observedGeneration === b.observedGeneration
  );
}
