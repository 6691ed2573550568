// URL paths of the API server, made only from names that cannot mean anything else.
import type { RequestSubject } from './api-error.ts';
import type { ObjectRef } from './keys.ts';
import type { ResourceType } from './resource-types.ts';

export const CONTENT_TYPES = {
  apply: 'application/apply-patch+yaml',
  mergePatch: 'application/merge-patch+json',
  jsonPatch: 'application/json-patch+json',
} as const;

/**
 * Path of all objects of a kind, in one namespace or in all.
 * @throws Error when a namespaced kind needs a namespace and none is given
 */
export function collectionPath(
  type: ResourceType,
  namespace: string | undefined,
  without: 'all-namespaces' | 'refuse' = 'refuse',
): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  if (!type.namespaced) {
    return `${root}/${type.plural}`;
  }
  if (namespace === undefined && without === 'all-namespaces') {
    return `${root}/${type.plural}`;
  }
  return `${root}/namespaces/${segment(namespace, 'namespace', type)}/${type.plural}`;
}

/**
 * Path of one object or its sub-resource.
 * @throws Error for an empty name: the path would mean the whole collection, and DELETE would empty it
 */
export function objectPath(type: ResourceType, ref: ObjectRef, subresource?: string): string {
  const name = segment(ref.name, 'name', type);
  const path = `${collectionPath(type, ref.namespace)}/${name}`;
  return subresource === undefined ? path : `${path}/${segment(subresource, 'subresource', type)}`;
}

export function subjectOf(
  type: ResourceType,
  verb: string,
  ref: Partial<ObjectRef>,
  subresource?: string,
): RequestSubject {
  const resource = type.group === '' ? type.plural : `${type.plural}.${type.group}`;
  return {
    verb,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace: ref.namespace,
    name: ref.name,
  };
}

function segment(value: string | undefined, what: string, type: ResourceType): string {
  if (value === undefined || value === '' || value === '.' || value === '..') {
    throw new Error(`${type.plural}: "${value ?? ''}" is no ${what}`);
  }
  return encodeURIComponent(value);
}
