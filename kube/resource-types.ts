// The shapes in which one asks for objects: selections, options of each verb, bodies.
import type { ObjectMeta, TypedObject } from '../crds/meta.ts';

/** Where the API server keeps a kind. `group` is '' for the core group (pods, secrets). */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMillis?: number;
}

export interface Selection {
  /** only this namespace; without it, all */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends Selection, CallOptions {
  readonly pageSize?: number | undefined;
}

export interface ListResult<T> {
  readonly items: readonly T[];
  /** where a watch goes on from here */
  readonly resourceVersion: string;
}

export interface WatchOptions extends Selection, CallOptions {
  readonly resourceVersion: string;
  /** the server ends the watch after this time */
  readonly timeoutSeconds: number;
}

export interface WriteOptions extends CallOptions {
  /** validate and admit, but store nothing */
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager?: string;
  /** take over fields of other managers; on unless said otherwise, as controllers should */
  readonly force?: boolean;
}

export interface PatchOptions extends WriteOptions {
  /** Conflict unless the object still has this version */
  readonly resourceVersion?: string;
  /** `status`, `scale`, `resize` ... */
  readonly subresource?: string;
}

export interface DeleteOptions extends CallOptions {
  /** Conflict unless the object still has this uid */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
}

/** One operation of RFC 6902. */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

export type DeepPartial<T> = T extends readonly (infer Item)[]
  ? readonly DeepPartial<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: DeepPartial<T[Key]> }
    : T;

/** What one manager says about an object: only the fields it owns. */
export type ApplyBody<T extends TypedObject> = {
  readonly apiVersion: T['apiVersion'];
  readonly kind: T['kind'];
  readonly metadata: ObjectMeta;
} & Omit<DeepPartial<T>, 'apiVersion' | 'kind' | 'metadata'>;
