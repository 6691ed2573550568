// Server-side apply, good enough for tests: who owns which field, conflicts, removal of what is no longer named.
import { isObject, type JsonObject, sameJson } from './json.ts';

/** Lists merged item by item, and the field that tells their items apart. All others are atomic. */
const LIST_KEYS: Readonly<Record<string, string>> = {
  conditions: 'type',
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  ownerReferences: 'uid',
  volumeMounts: 'mountPath',
};

/** Fields that apply never owns. */
const UNOWNED = new Set([
  'apiVersion',
  'kind',
  'metadata.name',
  'metadata.namespace',
  'metadata.resourceVersion',
  'metadata.uid',
  'metadata.generation',
  'metadata.creationTimestamp',
  'metadata.managedFields',
]);

/** A field's place: names, and `key=value` in square brackets for list items. */
type Leaf = { readonly path: readonly string[]; readonly value: unknown };

/** Field paths by manager. */
export type Owners = Map<string, Set<string>>;

export class ApplyConflict extends Error {}

/** Every leaf of an object, by its path as text. */
export function leaves(object: unknown, path: readonly string[] = []): Map<string, Leaf> {
  const found = new Map<string, Leaf>();
  const children = childrenOf(object, path.at(-1) ?? '');
  if (children === undefined || children.length === 0) {
    if (!UNOWNED.has(path.join('.'))) {
      found.set(JSON.stringify(path), { path, value: object });
    }
    return found;
  }
  for (const [step, value] of children) {
    for (const [text, leaf] of leaves(value, [...path, step])) {
      found.set(text, leaf);
    }
  }
  return found;
}

function childrenOf(value: unknown, field: string): [string, unknown][] | undefined {
  if (isObject(value)) {
    return Object.entries(value);
  }
  const key = LIST_KEYS[field];
  if (Array.isArray(value) && key !== undefined && value.every(isObject)) {
    return value.map((item) => [`[${key}=${String(item[key])}]`, item]);
  }
  if (Array.isArray(value) && field === 'finalizers') {
    return value.map((item) => [`{${String(item)}}`, item]);
  }
  return undefined;
}

/** Merges `applied` into `live` (changed in place) for `manager` and updates `owners`. @throws ApplyConflict */
export function applyFields(
  live: JsonObject,
  applied: JsonObject,
  owners: Owners,
  options: { readonly manager: string; readonly force: boolean },
): void {
  const wanted = leaves(applied);
  const present = leaves(live);
  for (const [text, leaf] of wanted) {
    const rivals = [...owners].filter(
      ([name, paths]) => name !== options.manager && paths.has(text),
    );
    const differs = !sameJson(present.get(text)?.value, leaf.value);
    if (rivals.length > 0 && differs && !options.force) {
      throw new ApplyConflict(`conflict with "${rivals[0]?.[0]}": ${leaf.path.join('.')}`);
    }
    if (differs) {
      rivals.forEach(([, paths]) => paths.delete(text));
    }
  }
  const mine = owners.get(options.manager) ?? new Set<string>();
  owners.set(options.manager, new Set(wanted.keys()));
  [...mine]
    .filter((text) => ![...owners.values()].some((paths) => paths.has(text)))
    .map((text) => JSON.parse(text) as string[])
    .sort((a, b) => rank(a) - rank(b))
    .forEach((path) => removeLeaf(live, path));
  for (const { path, value } of wanted.values()) {
    setLeaf(live, path, value);
  }
}

/** The key of a list item goes last, of inner items before outer ones: without it the item is not found. */
function rank(path: readonly string[]): number {
  const isKey = path.at(-2)?.startsWith(`[${path.at(-1)}=`) === true;
  return isKey ? 1000 - path.length : 0;
}

/** After a plain write: what changed belongs to its writer now. */
export function recordWrite(
  before: JsonObject,
  after: JsonObject,
  owners: Owners,
  manager: string,
): void {
  const old = leaves(before);
  const mine = owners.get(manager) ?? new Set<string>();
  for (const [text, leaf] of leaves(after)) {
    if (!sameJson(old.get(text)?.value, leaf.value)) {
      owners.forEach((paths) => paths.delete(text));
      mine.add(text);
    }
  }
  owners.set(manager, mine);
}

type Container = JsonObject | unknown[];

function step(parent: Container, name: string): unknown {
  if (!Array.isArray(parent)) {
    return parent[name];
  }
  const [key = '', value = ''] = splitItem(name);
  return parent.find((item) => isObject(item) && String(item[key]) === value);
}

function splitItem(name: string): readonly string[] {
  const inner = name.slice(1, -1);
  const equals = inner.indexOf('=');
  return [inner.slice(0, equals), inner.slice(equals + 1)];
}

function setLeaf(root: JsonObject, path: readonly string[], value: unknown): void {
  let parent: Container = root;
  for (const [index, name] of path.entries()) {
    if (name.startsWith('{') && Array.isArray(parent)) {
      if (!parent.includes(value)) {
        parent.push(value);
      }
      return;
    }
    if (index === path.length - 1) {
      // `{}` says only that there is an object.
      if (!(isEmptyObject(value) && isObject(step(parent, name)))) {
        (parent as JsonObject)[name] = value;
      }
      return;
    }
    let next = step(parent, name);
    if (typeof next !== 'object' || next === null) {
      const isList = /^[[{].*[\]}]$/.test(path[index + 1] ?? '');
      next = isList ? [] : {};
      if (Array.isArray(parent)) {
        parent.push(next);
      } else {
        parent[name] = next;
      }
    }
    parent = next as Container;
  }
}

/** Removes a leaf, and every container that becomes empty by it. */
function removeLeaf(root: Container, path: readonly string[]): void {
  const [name = '', ...rest] = path;
  if (name.startsWith('{') && Array.isArray(root)) {
    const at = root.indexOf(name.slice(1, -1));
    root.splice(at, at < 0 ? 0 : 1);
    return;
  }
  const next = step(root, name);
  if (next === undefined) {
    return;
  }
  if (rest.length > 0) {
    removeLeaf(next as Container, rest);
  }
  const isContainer = isObject(next) || (Array.isArray(next) && rest.length > 0);
  if (isContainer && Object.keys(next).length > 0) {
    return;
  }
  if (Array.isArray(root)) {
    root.splice(root.indexOf(next), 1);
  } else {
    delete root[name];
  }
}

function isEmptyObject(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}
