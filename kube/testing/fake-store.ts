// The test server's memory: objects by kind and key, versions, finalizers, sub-resources, a history for watches.
import { randomUUID } from 'node:crypto';
import { formatTime } from '../clock.ts';
import type { ResourceType } from '../resource-types.ts';
import { child, type JsonObject, sameJson, textOf } from './json.ts';
import { type Owners, recordWrite } from './server-side-apply.ts';

/** A kind that the server knows, and how its sub-resource and its admission behave. */
export interface FakeKind extends ResourceType {
  readonly kind: string;
  /** has a status sub-resource: the main path ignores `status`, `/status` everything else; default true */
  readonly statusSubresource?: boolean;
  /** field selectors beyond metadata.name and metadata.namespace, as `selectableFields` without the dot */
  readonly selectable?: readonly string[];
  /** a deleted object stays, with a deletionTimestamp, until it is deleted with a grace period of 0, as pods do */
  readonly graceful?: boolean;
  /** why the object is refused (422), or undefined */
  readonly validate?: (object: JsonObject, old: JsonObject | undefined) => string | undefined;
  /** what a mutating policy makes of an object that is to be created */
  readonly admit?: (object: JsonObject) => JsonObject;
  /** kinds that are only asked, not stored (SubjectAccessReview): the answer to a create */
  readonly answer?: (object: JsonObject) => JsonObject;
}

export interface StoredEvent {
  readonly version: number;
  readonly kind: FakeKind;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: JsonObject;
  readonly previous: JsonObject | undefined;
}

export interface Place {
  readonly namespace: string | undefined;
  readonly name: string;
}

export interface WriteBy {
  readonly manager: string;
  readonly subresource?: string | undefined;
  readonly dryRun?: boolean;
}

/** An answer that is no success; becomes a metav1.Status. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export class FakeStore {
  readonly #objects = new Map<string, JsonObject>();
  readonly #owners = new Map<string, Owners>();
  readonly #history: StoredEvent[] = [];
  readonly #listeners = new Set<(event: StoredEvent) => void>();
  readonly #now: () => number;
  #version = 100;
  #oldestVersion = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** of the newest change */
  get version(): number {
    return this.#version;
  }

  /** Forgets how it came to be: watches and continue tokens from before answer 410. */
  expireHistory(): void {
    this.#history.length = 0;
    this.#oldestVersion = this.#version;
  }

  isExpired(version: number): boolean {
    return version < this.#oldestVersion;
  }

  since(kind: FakeKind, version: number): readonly StoredEvent[] {
    return this.#history.filter((event) => event.kind === kind && event.version > version);
  }

  subscribe(listener: (event: StoredEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Objects in the order of their keys; the caller must not change them. */
  list(kind: FakeKind, namespace?: string): readonly JsonObject[] {
    const prefix = `${kindKey(kind)}/${namespace === undefined ? '' : `${namespace}/`}`;
    return [...this.#objects.entries()]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  /** @throws Refusal NotFound */
  get(kind: FakeKind, place: Place): JsonObject {
    const object = this.#objects.get(storeKey(kind, place));
    if (object === undefined) {
      throw new Refusal(404, 'NotFound', `${kind.plural} "${place.name}" not found`);
    }
    return object;
  }

  has(kind: FakeKind, place: Place): boolean {
    return this.#objects.has(storeKey(kind, place));
  }

  create(
    kind: FakeKind,
    namespace: string | undefined,
    asked: JsonObject,
    by: WriteBy,
  ): JsonObject {
    const given = kind.admit?.(asked) ?? asked;
    const metadata = child(given, 'metadata');
    const generated = `${textOf(metadata['generateName'])}${randomUUID().slice(0, 5)}`;
    const name = metadata['name'] === undefined ? generated : textOf(metadata['name']);
    const place = { namespace, name };
    if (metadata['resourceVersion'] !== undefined) {
      throw new Refusal(
        400,
        'BadRequest',
        'resourceVersion should not be set on objects to be created',
      );
    }
    if (this.has(kind, place)) {
      throw new Refusal(409, 'AlreadyExists', `${kind.plural} "${name}" already exists`);
    }
    const object: JsonObject = {
      ...structuredClone(given),
      apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`,
      kind: kind.kind,
      metadata: {
        ...metadata,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: randomUUID(),
        generation: 1,
        creationTimestamp: formatTime(this.#now()),
      },
    };
    if (kind.statusSubresource !== false) {
      delete object['status'];
    }
    return this.#commit(kind, place, { old: undefined, object, by });
  }

  /** Replaces an object by what `change` makes of it. @throws Refusal */
  write(
    kind: FakeKind,
    place: Place,
    by: WriteBy,
    change: (old: JsonObject, owners: Owners) => JsonObject,
  ): JsonObject {
    const old = this.get(kind, place);
    const owners = this.owners(kind, place);
    const changed = change(structuredClone(old), owners);
    const oldMetadata = child(old, 'metadata');
    const metadata = child(changed, 'metadata');
    this.#checkPreconditions(kind, place, metadata);
    const object: JsonObject = {
      ...changed,
      metadata: {
        ...(by.subresource === 'status' ? oldMetadata : metadata),
        uid: oldMetadata['uid'],
        creationTimestamp: oldMetadata['creationTimestamp'],
        resourceVersion: oldMetadata['resourceVersion'],
        generation: oldMetadata['generation'],
        ...(oldMetadata['deletionTimestamp'] === undefined
          ? {}
          : { deletionTimestamp: oldMetadata['deletionTimestamp'] }),
      },
    };
    const kept = by.subresource === 'status' ? onlyStatus(old, object) : object;
    if (kind.statusSubresource !== false && by.subresource !== 'status') {
      copyField(old, kept, 'status');
    }
    return this.#commit(kind, place, { old, object: kept, by });
  }

  owners(kind: FakeKind, place: Place): Owners {
    const key = storeKey(kind, place);
    const owners = this.#owners.get(key) ?? new Map<string, Set<string>>();
    this.#owners.set(key, owners);
    return owners;
  }

  /** Deletes, or only marks if there are finalizers. @throws Refusal */
  /** @param options DeleteOptions: preconditions and gracePeriodSeconds */
  remove(kind: FakeKind, place: Place, options: JsonObject = {}): JsonObject {
    const old = this.get(kind, place);
    this.#checkPreconditions(kind, place, child(options, 'preconditions'));
    const metadata = child(old, 'metadata');
    const waits = kind.graceful === true && options['gracePeriodSeconds'] !== 0;
    if (!waits && !hasFinalizers(metadata)) {
      return this.#erase(kind, place, old);
    }
    if (metadata['deletionTimestamp'] !== undefined) {
      return old;
    }
    const deletionTimestamp = formatTime(this.#now());
    const object = { ...old, metadata: { ...metadata, deletionTimestamp } };
    return this.#commit(kind, place, { old, object, by: { manager: 'server' } });
  }

  #checkPreconditions(kind: FakeKind, place: Place, wanted: JsonObject): void {
    const metadata = child(this.get(kind, place), 'metadata');
    for (const field of ['resourceVersion', 'uid']) {
      if (wanted[field] !== undefined && wanted[field] !== metadata[field]) {
        throw new Refusal(
          409,
          'Conflict',
          `Operation cannot be fulfilled on ${kind.plural} "${place.name}": ${field} is ${textOf(metadata[field])}, not ${textOf(wanted[field])}`,
        );
      }
    }
  }

  #commit(
    kind: FakeKind,
    place: Place,
    change: { old: JsonObject | undefined; object: JsonObject; by: WriteBy },
  ): JsonObject {
    const { old, object, by } = change;
    if (old !== undefined && sameJson(old, object)) {
      return old;
    }
    const problem = kind.validate?.(object, old);
    if (problem !== undefined) {
      throw new Refusal(422, 'Invalid', `${kind.kind} "${place.name}" is invalid: ${problem}`);
    }
    if (by.dryRun === true) {
      return object;
    }
    const metadata = child(object, 'metadata');
    const respecified = old !== undefined && !sameJson(specOf(old), specOf(object));
    recordWrite(old ?? {}, object, this.owners(kind, place), by.manager);
    const stored: JsonObject = {
      ...object,
      metadata: {
        ...metadata,
        resourceVersion: String(this.#version + 1),
        generation: Number(metadata['generation'] ?? 1) + (respecified ? 1 : 0),
        managedFields: [...this.owners(kind, place).keys()].map((manager) => ({ manager })),
      },
    };
    this.#objects.set(storeKey(kind, place), stored);
    this.#announce(kind, old === undefined ? 'ADDED' : 'MODIFIED', stored, old);
    const free = !hasFinalizers(metadata) && kind.graceful !== true;
    if (metadata['deletionTimestamp'] !== undefined && free) {
      this.#erase(kind, place, stored);
    }
    return stored;
  }

  #erase(kind: FakeKind, place: Place, old: JsonObject): JsonObject {
    const metadata = { ...child(old, 'metadata'), resourceVersion: String(this.#version + 1) };
    const last = { ...old, metadata };
    this.#objects.delete(storeKey(kind, place));
    this.#owners.delete(storeKey(kind, place));
    this.#announce(kind, 'DELETED', last, old);
    return last;
  }

  #announce(
    kind: FakeKind,
    type: StoredEvent['type'],
    object: JsonObject,
    previous: JsonObject | undefined,
  ): void {
    this.#version++;
    const event = { version: this.#version, kind, type, object, previous };
    this.#history.push(event);
    this.#listeners.forEach((listener) => listener(event));
  }
}

function hasFinalizers({ finalizers }: JsonObject): boolean {
  return Array.isArray(finalizers) && finalizers.length > 0;
}

function kindKey(kind: FakeKind): string {
  return `${kind.plural}.${kind.group}`;
}

function storeKey(kind: FakeKind, place: Place): string {
  return [kindKey(kind), place.namespace, place.name]
    .filter((part) => part !== undefined)
    .join('/');
}

function specOf(object: JsonObject): JsonObject {
  const { metadata: _metadata, status: _status, ...rest } = object;
  return rest;
}

function onlyStatus(old: JsonObject, object: JsonObject): JsonObject {
  const kept = { ...old };
  copyField(object, kept, 'status');
  return kept;
}

function copyField(from: JsonObject, to: JsonObject, field: string): void {
  if (from[field] !== undefined) {
    to[field] = from[field];
  } else {
    delete to[field];
  }
}
