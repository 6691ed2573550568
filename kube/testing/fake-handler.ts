// What the test server does for each verb.
import type { ServerResponse } from 'node:http';
import { type FakeKind, type FakeStore, Refusal } from './fake-store.ts';
import type { FakeWatches } from './fake-watches.ts';
import {
  child,
  isObject,
  JsonPatchFailed,
  type JsonObject,
  jsonPatch,
  mergePatch,
} from './json.ts';
import type { Target } from './request-target.ts';
import { fieldSelector, labelSelector, type Selector, UnknownField } from './selectors.ts';
import { ApplyConflict, applyFields } from './server-side-apply.ts';

const DEFAULT_WATCH_SECONDS = 1800;

interface Page {
  readonly items: readonly JsonObject[];
  readonly version: number;
}

export class FakeHandler {
  readonly #store: FakeStore;
  readonly #watches: FakeWatches;
  /** what is left of paginated lists, by continue token */
  readonly #pages = new Map<string, Page>();

  constructor(store: FakeStore, watches: FakeWatches) {
    this.#store = store;
    this.#watches = watches;
  }

  watch(target: Target, answer: ServerResponse, stale: boolean): void {
    this.#watches.begin(
      {
        kind: target.kind,
        selects: selectorOf(target),
        resourceVersion: target.query.get('resourceVersion') ?? '',
        timeoutSeconds: Number(target.query.get('timeoutSeconds') ?? DEFAULT_WATCH_SECONDS),
        bookmarks: target.query.get('allowWatchBookmarks') === 'true',
        stale,
      },
      answer,
    );
  }

  /** Carries out anything but a watch. @throws Refusal */
  handle(target: Target, body: unknown): JsonObject {
    switch (target.verb) {
      case 'list':
        return this.#list(target);
      case 'get':
        return this.#store.get(target.kind, placeOf(target));
      case 'create':
        return this.#create(target, objectIn(body));
      case 'update':
        return this.#update(target, objectIn(body));
      case 'patch':
        return this.#patch(target, body);
      case 'apply':
        return this.#apply(target, objectIn(body));
      case 'delete':
        return this.#store.remove(target.kind, placeOf(target), isObject(body) ? body : {});
      default:
        throw new Refusal(405, 'MethodNotAllowed', `no ${target.verb} here`);
    }
  }

  #list(target: Target): JsonObject {
    const token = target.query.get('continue');
    const limit = Number(target.query.get('limit') ?? 0);
    const page =
      token === null
        ? {
            items: this.#store.list(target.kind, target.namespace).filter(selectorOf(target)),
            version: this.#store.version,
          }
        : this.#pages.get(token);
    if (page === undefined || this.#store.isExpired(page.version)) {
      throw new Refusal(410, 'Expired', 'The provided continue parameter is too old');
    }
    const items = limit > 0 ? page.items.slice(0, limit) : page.items;
    const left = page.items.slice(items.length);
    const next =
      left.length === 0 ? undefined : `${page.version}-${left.length}-${this.#pages.size}`;
    if (next !== undefined) {
      this.#pages.set(next, { items: left, version: page.version });
    }
    const { group, version, kind } = target.kind;
    return {
      apiVersion: group === '' ? version : `${group}/${version}`,
      kind: `${kind}List`,
      metadata: { resourceVersion: String(page.version), continue: next },
      items: group === '' ? items.map(withoutKind) : items,
    };
  }

  #create(target: Target, object: JsonObject): JsonObject {
    if (target.kind.answer !== undefined) {
      return target.kind.answer(object);
    }
    const given = child(object, 'metadata')['namespace'];
    if (given !== undefined && given !== target.namespace) {
      throw new Refusal(400, 'BadRequest', 'the namespace of the object does not match the path');
    }
    return this.#store.create(target.kind, target.namespace, object, writerOf(target));
  }

  #update(target: Target, object: JsonObject): JsonObject {
    if (child(object, 'metadata')['resourceVersion'] === undefined) {
      throw new Refusal(
        422,
        'Invalid',
        'metadata.resourceVersion: must be specified for an update',
      );
    }
    return this.#store.write(target.kind, placeOf(target), writerOf(target), () => object);
  }

  #patch(target: Target, body: unknown): JsonObject {
    if (target.contentType.startsWith('application/strategic') && target.kind.group !== '') {
      throw new Refusal(415, 'UnsupportedMediaType', 'use merge, json or apply patches');
    }
    return this.#store.write(target.kind, placeOf(target), writerOf(target), (old) => {
      if (!target.contentType.startsWith('application/json-patch')) {
        return objectIn(mergePatch(withoutVersion(old), body));
      }
      try {
        return jsonPatch(old, body);
      } catch (error) {
        throw error instanceof JsonPatchFailed ? new Refusal(422, 'Invalid', error.message) : error;
      }
    });
  }

  #apply(target: Target, applied: JsonObject): JsonObject {
    const manager = target.query.get('fieldManager') ?? '';
    if (manager === '') {
      throw new Refusal(400, 'BadRequest', 'fieldManager is required for apply patch');
    }
    if (child(applied, 'metadata')['managedFields'] !== undefined) {
      throw new Refusal(400, 'BadRequest', 'metadata.managedFields must be nil');
    }
    const place = placeOf(target);
    const writer = writerOf(target);
    if (!this.#store.has(target.kind, place) && target.subresource === undefined) {
      return this.#store.create(target.kind, target.namespace, applied, writer);
    }
    const force = target.query.get('force') === 'true';
    return this.#store.write(target.kind, place, writer, (old, owners) => {
      try {
        const only = target.subresource === 'status' ? { status: applied['status'] } : applied;
        applyFields(old, only, owners, { manager: managerKey(target), force });
        return { ...old, metadata: { ...child(old, 'metadata'), ...preconditionsIn(applied) } };
      } catch (error) {
        throw error instanceof ApplyConflict ? new Refusal(409, 'Conflict', error.message) : error;
      }
    });
  }
}

/** A manager's ownership through a sub-resource is an entry of its own. */
function managerKey(target: Target): string {
  const manager = target.query.get('fieldManager') ?? 'unknown';
  return target.subresource === undefined ? manager : `${manager} (${target.subresource})`;
}

function writerOf(target: Target): { manager: string; subresource?: string; dryRun: boolean } {
  return {
    manager: managerKey(target),
    ...(target.subresource === undefined ? {} : { subresource: target.subresource }),
    dryRun: target.query.get('dryRun') === 'All',
  };
}

/** An applied object may name the version and the uid it expects. */
function preconditionsIn(applied: JsonObject): JsonObject {
  const metadata = child(applied, 'metadata');
  const named = ['resourceVersion', 'uid'].filter((field) => metadata[field] !== undefined);
  return Object.fromEntries(named.map((field) => [field, metadata[field]]));
}

function placeOf(target: Target): { namespace: string | undefined; name: string } {
  return { namespace: target.namespace, name: target.name ?? '' };
}

function objectIn(body: unknown): JsonObject {
  if (!isObject(body)) {
    throw new Refusal(400, 'BadRequest', 'the body is no object');
  }
  return body;
}

function selectorOf(target: Target): Selector {
  const labels = labelSelector(target.query.get('labelSelector') ?? '');
  const fields = target.query.get('fieldSelector');
  const byField = fields === null ? () => true : fieldsOf(target.kind, fields);
  return (object) => {
    const { namespace } = child(object, 'metadata');
    const here = target.namespace === undefined || namespace === target.namespace;
    return here && labels(object) && byField(object);
  };
}

function fieldsOf(kind: FakeKind, text: string): Selector {
  try {
    return fieldSelector(text, kind.selectable ?? []);
  } catch (error) {
    throw error instanceof UnknownField ? new Refusal(400, 'BadRequest', error.message) : error;
  }
}

/** A merge patch checks the version only when it names one. */
function withoutVersion(object: JsonObject): JsonObject {
  const { resourceVersion: _version, ...metadata } = child(object, 'metadata');
  return { ...object, metadata };
}

function withoutKind(object: JsonObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  return rest;
}
