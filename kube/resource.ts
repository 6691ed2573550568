// Everything one can do with the objects of one kind, typed, over one generic HTTP path.
import type { TypedObject } from '../crds/meta.ts';
import { isGone, isNotFound } from './api-error.ts';
import { CONTENT_TYPES, collectionPath, objectPath, subjectOf } from './paths.ts';
import type { ObjectRef } from './keys.ts';
import type {
  ApplyBody,
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  JsonPatchOperation,
  ListOptions,
  ListResult,
  PatchOptions,
  ResourceType,
  Selection,
  WatchOptions,
  WriteOptions,
} from './resource-types.ts';
import type { HttpRequest, HttpStream, Transport } from './transport.ts';

const DEFAULT_PAGE_SIZE = 500;
/** A list this long is not for this client; the server's continue token must not lead us in circles. */
const MAX_PAGES = 10_000;

export interface ResourceOptions {
  readonly type: ResourceType;
  readonly fieldManager: string;
  readonly timeoutMillis: number;
}

interface Call {
  readonly verb: string;
  readonly method: HttpRequest['method'];
  readonly ref: ObjectRef;
  readonly subresource?: string | undefined;
  readonly query?: URLSearchParams | undefined;
  readonly contentType?: string | undefined;
  readonly body?: unknown;
}

/** Every method throws `ApiError`, or the signal's reason when it was aborted. */
export class Resource<T extends TypedObject> {
  readonly type: ResourceType;
  readonly #transport: Transport;
  readonly #fieldManager: string;
  readonly #timeoutMillis: number;

  constructor(transport: Transport, options: ResourceOptions) {
    this.type = options.type;
    this.#transport = transport;
    this.#fieldManager = options.fieldManager;
    this.#timeoutMillis = options.timeoutMillis;
  }

  async get(ref: ObjectRef, options: CallOptions = {}): Promise<T> {
    return await this.#call({ verb: 'get', method: 'GET', ref }, options);
  }

  /** The object, or undefined if there is none. */
  async find(ref: ObjectRef, options: CallOptions = {}): Promise<T | undefined> {
    try {
      return await this.get(ref, options);
    } catch (error) {
      if (isNotFound(error)) {
        return undefined;
      }
      throw error;
    }
  }

  /** All objects of a selection, page by page, as one consistent picture. */
  async list(options: ListOptions = {}): Promise<ListResult<T>> {
    try {
      return await this.#listPages(options, options.pageSize ?? DEFAULT_PAGE_SIZE);
    } catch (error) {
      // The snapshot behind the continue token was compacted away: take everything in one page, as client-go does.
      if (isGone(error)) {
        return await this.#listPages(options, 0);
      }
      throw error;
    }
  }

  /** Opens a watch: JSON lines of `{ type, object }`. `ListWatch` is what one usually wants. */
  async watch(options: WatchOptions): Promise<HttpStream> {
    const query = selectionQuery(options);
    query.set('watch', 'true');
    query.set('resourceVersion', options.resourceVersion);
    query.set('allowWatchBookmarks', 'true');
    query.set('timeoutSeconds', String(options.timeoutSeconds));
    return await this.#transport.stream(this.#collectionRequest('watch', options, query));
  }

  async create(object: T, options: WriteOptions = {}): Promise<T> {
    const path = collectionPath(this.type, object.metadata.namespace);
    const subject = subjectOf(this.type, 'create', object.metadata);
    const query = this.#writeQuery(options);
    const body = JSON.stringify(object);
    const { signal, timeoutMillis = this.#timeoutMillis } = options;
    const request = { method: 'POST', path, query, body, signal, timeoutMillis, subject } as const;
    return JSON.parse(await this.#transport.send(request)) as T;
  }

  /** PUT: replaces the object; Conflict unless `metadata.resourceVersion` is current. */
  async update(object: T, options: WriteOptions = {}): Promise<T> {
    return await this.#call(
      {
        verb: 'update',
        method: 'PUT',
        ref: object.metadata,
        query: this.#writeQuery(options),
        body: object,
      },
      options,
    );
  }

  /** Server-side apply: creates the object, or sets our fields and removes those we no longer name. */
  async apply(object: ApplyBody<T>, options: ApplyOptions = {}): Promise<T> {
    return await this.#apply(object, options);
  }

  /** Server-side apply of the status sub-resource; the object must exist. */
  async applyStatus(object: ApplyBody<T>, options: ApplyOptions = {}): Promise<T> {
    return await this.#apply(object, options, 'status');
  }

  /** RFC 7386; null removes a field. */
  async mergePatch(ref: ObjectRef, patch: object, options: PatchOptions = {}): Promise<T> {
    return await this.#call(
      {
        verb: 'patch',
        method: 'PATCH',
        ref,
        subresource: options.subresource,
        query: this.#writeQuery(options),
        contentType: CONTENT_TYPES.mergePatch,
        body: withVersion(patch, options.resourceVersion),
      },
      options,
    );
  }

  async mergePatchStatus(ref: ObjectRef, patch: object, options: PatchOptions = {}): Promise<T> {
    return await this.mergePatch(ref, patch, { ...options, subresource: 'status' });
  }

  /** RFC 6902. Preconditions are `test` operations; a failed one answers Invalid. */
  async jsonPatch(
    ref: ObjectRef,
    operations: readonly JsonPatchOperation[],
    options: Omit<PatchOptions, 'resourceVersion'> = {},
  ): Promise<T> {
    return await this.#call(
      {
        verb: 'patch',
        method: 'PATCH',
        ref,
        subresource: options.subresource,
        query: this.#writeQuery(options),
        contentType: CONTENT_TYPES.jsonPatch,
        body: operations,
      },
      options,
    );
  }

  /** Asks for deletion; the object may stay until its finalizers are gone. NotFound is an error: see `isNotFound`. */
  async delete(ref: ObjectRef, options: DeleteOptions = {}): Promise<void> {
    const body = deleteBody(options);
    await this.#call({ verb: 'delete', method: 'DELETE', ref, body }, options);
  }

  async #apply(object: ApplyBody<T>, options: ApplyOptions, subresource?: string): Promise<T> {
    const query = this.#writeQuery(options, options.fieldManager);
    query.set('force', String(options.force ?? true));
    return await this.#call(
      {
        verb: 'apply',
        method: 'PATCH',
        ref: object.metadata,
        subresource,
        query,
        contentType: CONTENT_TYPES.apply,
        body: object,
      },
      options,
    );
  }

  async #listPages(options: ListOptions, pageSize: number): Promise<ListResult<T>> {
    const items: T[] = [];
    let from: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const list = await this.#listPage(options, pageSize, from);
      for (const item of list.items ?? []) {
        // Items of built-in kinds come without their kind; a reader of the cache should not care.
        items.push({ ...kindOfItems(list), ...item });
      }
      from = list.metadata.continue;
      if (from === undefined || from === '') {
        return { items, resourceVersion: list.metadata.resourceVersion };
      }
    }
    throw new Error(`list ${this.type.plural}: more than ${MAX_PAGES} pages`);
  }

  async #listPage(options: ListOptions, limit: number, from?: string): Promise<RawList<T>> {
    const query = selectionQuery(options);
    if (limit > 0) {
      query.set('limit', String(limit));
    }
    if (from !== undefined) {
      query.set('continue', from);
    }
    const request = this.#collectionRequest('list', options, query);
    return JSON.parse(await this.#transport.send(request)) as RawList<T>;
  }

  #collectionRequest(
    verb: string,
    options: Selection & CallOptions,
    query: URLSearchParams,
  ): HttpRequest {
    const { namespace, signal, timeoutMillis = this.#timeoutMillis } = options;
    return {
      method: 'GET',
      path: collectionPath(this.type, namespace, 'all-namespaces'),
      query,
      signal,
      timeoutMillis,
      subject: subjectOf(this.type, verb, { namespace }),
    };
  }

  async #call(call: Call, options: CallOptions): Promise<T> {
    const { signal, timeoutMillis = this.#timeoutMillis } = options;
    const text = await this.#transport.send({
      method: call.method,
      path: objectPath(this.type, call.ref, call.subresource),
      query: call.query,
      contentType: call.contentType,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal,
      timeoutMillis,
      subject: subjectOf(this.type, call.verb, call.ref, call.subresource),
    });
    return JSON.parse(text) as T;
  }

  #writeQuery(options: WriteOptions, fieldManager = this.#fieldManager): URLSearchParams {
    const query = new URLSearchParams({ fieldManager });
    if (options.dryRun === true) {
      query.set('dryRun', 'All');
    }
    return query;
  }
}

interface RawList<T> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[] | null;
}

/** `PodList` holds `Pod`s. */
function kindOfItems(list: RawList<unknown>): object {
  return { apiVersion: list.apiVersion, kind: list.kind.replace(/List$/, '') };
}

function selectionQuery(selection: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (selection.labelSelector !== undefined) {
    query.set('labelSelector', selection.labelSelector);
  }
  if (selection.fieldSelector !== undefined) {
    query.set('fieldSelector', selection.fieldSelector);
  }
  return query;
}

function withVersion(patch: object, resourceVersion: string | undefined): object {
  if (resourceVersion === undefined) {
    return patch;
  }
  const metadata = (patch as { readonly metadata?: object }).metadata;
  return { ...patch, metadata: { ...metadata, resourceVersion } };
}

/** DeleteOptions without the fields that were not asked for: an empty uid would be a precondition. */
function deleteBody(options: DeleteOptions): object {
  const { uid, resourceVersion, propagation, gracePeriodSeconds } = options;
  const checked = uid !== undefined || resourceVersion !== undefined;
  // JSON leaves undefined out.
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    preconditions: checked ? { uid, resourceVersion } : undefined,
    propagationPolicy: propagation,
    gracePeriodSeconds,
  };
}
