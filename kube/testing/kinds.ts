// Two made-up kinds for this folder's own tests: one namespaced and custom, one cluster-scoped.
import type { Condition, TypedObject } from '../../crds/meta.ts';
import type { FakeKind } from './fake-store.ts';

export interface Widget extends TypedObject {
  readonly spec: {
    readonly size?: number;
    readonly nodeName?: string;
    readonly color?: string;
  };
  readonly status?: { readonly conditions?: readonly Condition[]; readonly seen?: number };
}

export const WIDGETS: FakeKind = {
  group: 'test.dev',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
  selectable: ['spec.nodeName'],
};

export const PODS: FakeKind = {
  group: '',
  version: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
  selectable: ['spec.nodeName'],
};

export const SHELVES: FakeKind = {
  group: 'test.dev',
  version: 'v1',
  plural: 'shelves',
  kind: 'Shelf',
  namespaced: false,
  statusSubresource: false,
};

export function widget(
  name: string,
  spec: Widget['spec'] = {},
  metadata: Partial<Widget['metadata']> = {},
): Widget {
  return {
    apiVersion: 'test.dev/v1',
    kind: 'Widget',
    metadata: { namespace: 'default', ...metadata, name },
    spec,
  };
}
