// Which nodes can mount the volumes of a pod, as the scheduler would say (pure).
import { fulfils } from '../../kube/label-selector.ts';
import type { NodeSelectorRequirement, NodeSelectorTerm } from './pod.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim } from './types.ts';

/** A claim that a pod mounts. */
export interface MountedClaim {
  readonly claim: PersistentVolumeClaim;
  /** behind it; undefined while it is bound to none */
  readonly volume: PersistentVolume | undefined;
}

/** Some nodes can mount it and others cannot. */
export function isConfined({ volume }: MountedClaim): boolean {
  return volume?.spec.nodeAffinity?.required !== undefined;
}

/** The first that the node cannot mount. */
export function outOfReach(node: Node, mounts: readonly MountedClaim[]): MountedClaim | undefined {
  return mounts.find(({ volume }) => volume !== undefined && !canMount(node, volume));
}

/** Names of those that can mount them all. */
export function nodesInReach(
  nodes: readonly Node[],
  mounts: readonly MountedClaim[],
): ReadonlySet<string> {
  const able = nodes.filter((node) => outOfReach(node, mounts) === undefined);
  return new Set(able.map(({ metadata }) => metadata.name));
}

/** As said in messages. */
export function nameOf({ claim, volume }: MountedClaim): string {
  return `the volume ${volume?.metadata.name} of the claim "${claim.metadata.name}"`;
}

/** Node-local volumes, and those of a zone, name the nodes that have them. */
function canMount({ metadata }: Node, { spec }: PersistentVolume): boolean {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => isOf(metadata, term));
}

function isOf(
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
    case 'NotIn':
    case 'Exists':
    case 'DoesNotExist':
      return fulfils(operator, values, value);
    case 'Gt':
      return Number(value) > bound;
    case 'Lt':
      return Number(value) < bound;
    default:
      // One of a later Kubernetes: the scheduler decides.
      return true;
  }
}
