// Which nodes can mount a volume, as the scheduler would say (pure).
import type { NodeSelectorRequirement, NodeSelectorTerm } from './pod.ts';
import type { Node, PersistentVolume } from './types.ts';

/** Node-local volumes, and those of a zone, name the nodes that have them. */
export function canMount({ metadata }: Node, { spec }: PersistentVolume): boolean {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => fulfils(metadata, term));
}

function fulfils(
  { name, labels = {} }: Node['metadata'],
  { matchExpressions = [], matchFields = [] }: NodeSelectorTerm,
): boolean {
  // A term that asks for nothing selects nothing.
  return (
    matchExpressions.length + matchFields.length > 0 &&
    matchExpressions.every((requirement) => holds(requirement, labels[requirement.key])) &&
    matchFields.every((requirement) => holds(requirement, name))
  );
}

function holds({ operator, values = [] }: NodeSelectorRequirement, value?: string): boolean {
  const bound = Number(values[0]);
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return Number(value) > bound;
    case 'Lt':
      return Number(value) < bound;
    default:
      // One of a later Kubernetes: the scheduler decides.
      return true;
  }
}
