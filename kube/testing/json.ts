// Plain JSON values and what the test server does to them: read a path, merge patch, JSON patch, compare.
import { isDeepStrictEqual } from 'node:util';

export type JsonObject = { [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at a field, or an empty one. */
export function child(object: JsonObject, field: string): JsonObject {
  const value = object[field];
  return isObject(value) ? value : {};
}

/** Follows `spec.nodeName`; undefined where there is nothing. */
export function atPath(object: JsonObject, path: string): unknown {
  let value: unknown = object;
  for (const field of path.split('.').filter((part) => part !== '')) {
    value = isObject(value) ? value[field] : undefined;
  }
  return value;
}

/** A scalar as text; nothing for what is no scalar. */
export function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

export function sameJson(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) {
    return patch;
  }
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) {
      delete result[field];
    } else {
      result[field] = mergePatch(result[field], value);
    }
  }
  return result;
}

export class JsonPatchFailed extends Error {}

/** RFC 6902: add, replace, remove and test. @throws JsonPatchFailed */
export function jsonPatch(target: JsonObject, operations: unknown): JsonObject {
  const result = structuredClone(target);
  for (const operation of operations as readonly JsonObject[]) {
    const path = String(operation['path'])
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    patchOne(result, path, String(operation['op']), operation['value']);
  }
  return result;
}

function patchOne(root: JsonObject, path: readonly string[], op: string, value: unknown): void {
  const last = path.at(-1) ?? '';
  let parent: unknown = root;
  for (const part of path.slice(0, -1)) {
    parent = (parent as JsonObject | undefined)?.[part];
  }
  if (Array.isArray(parent)) {
    patchList(parent, last, op, value);
  } else if (isObject(parent)) {
    patchMap(parent, last, op, value);
  } else {
    throw new JsonPatchFailed(`nothing at /${path.slice(0, -1).join('/')}`);
  }
}

function patchMap(parent: JsonObject, field: string, op: string, value: unknown): void {
  if (op !== 'add' && !(field in parent)) {
    throw new JsonPatchFailed(`nothing at ${field}`);
  }
  if (op === 'test' && !sameJson(parent[field], value)) {
    throw new JsonPatchFailed(`test of ${field} failed`);
  }
  if (op === 'remove') {
    delete parent[field];
  } else if (op === 'add' || op === 'replace') {
    parent[field] = value;
  }
}

function patchList(parent: unknown[], index: string, op: string, value: unknown): void {
  const at = index === '-' ? parent.length : Number(index);
  if (op === 'test' && !sameJson(parent[at], value)) {
    throw new JsonPatchFailed(`test of ${index} failed`);
  }
  if (op === 'remove') {
    parent.splice(at, 1);
  } else if (op === 'add') {
    parent.splice(at, 0, value);
  } else if (op === 'replace') {
    parent[at] = value;
  }
}
