// `namespace/name` keys: what queues and caches use instead of objects.

/** Names one object of a kind; `ObjectMeta` fits. Without a namespace: cluster-scoped. */
export interface ObjectRef {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** `namespace/name`, or `name` for a cluster-scoped object. */
export function objectKey(ref: ObjectRef): string {
  return ref.namespace === undefined || ref.namespace === ''
    ? ref.name
    : `${ref.namespace}/${ref.name}`;
}

/** The inverse of `objectKey`. Kubernetes allows no slash in either part. */
export function parseKey(key: string): ObjectRef {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
