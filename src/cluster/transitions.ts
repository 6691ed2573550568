// Events for people when the Ready condition of an object gets another reason (pure).
import { type Reason, REASONS } from '../../crds/conditions.ts';
import type { Condition, TypedObject } from '../../crds/meta.ts';
import { findCondition } from '../../kube/conditions.ts';
import { type ObjectReference, type Occurrence, referenceTo } from '../../kube/events.ts';
import type { Pod } from './pod.ts';

export interface Transition {
  /** as it was before */
  readonly object: TypedObject & {
    readonly status?: { readonly conditions?: readonly Condition[] };
  };
  readonly conditions: readonly Condition[] | undefined;
  /** what was done, CamelCase */
  readonly action: string;
  /** the pod it is about, where it exists */
  readonly pod: Pod | undefined;
}

/** Reasons that the pod's own events should tell, too. */
const POD_REASONS: readonly string[] = [
  'Dumping',
  'Completed',
  'DeletingSource',
  'Restoring',
  'Restored',
] satisfies readonly Reason[];

/** One event on the object; a second one on its pod where that matters to somebody who looks at the pod. */
export function transitionEvents(transition: Transition): readonly Occurrence[] {
  const { object, conditions, pod, action } = transition;
  const before = findCondition(object.status?.conditions, 'Ready');
  const after = findCondition(conditions, 'Ready');
  if (after === undefined || before?.reason === after.reason) {
    return [];
  }
  const { reason, message } = after;
  const reasonClass = (REASONS as Readonly<Record<string, { class: string }>>)[reason]?.class;
  const type = ['failure', 'waiting'].includes(reasonClass ?? '') ? 'Warning' : 'Normal';
  const regarding = referenceTo(object);
  const subject = pod && referenceTo(pod);
  const own = occurrence(regarding, subject, { type, reason, action, note: message });
  if (subject === undefined || !(POD_REASONS.includes(reason) || reasonClass === 'failure')) {
    return [own];
  }
  const note = `${object.kind} ${object.metadata.name}: ${message}`;
  return [own, occurrence(subject, regarding, { type, reason, action, note })];
}

function occurrence(
  regarding: ObjectReference,
  related: ObjectReference | undefined,
  what: Pick<Occurrence, 'type' | 'reason' | 'action' | 'note'>,
): Occurrence {
  return { regarding, ...(related && { related }), ...what };
}

/** `create-task` is CreateTask. */
export function actionName(step: string): string {
  return step.replace(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
