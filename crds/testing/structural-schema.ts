// Checks objects against the structural schemas of our CRDs as the API server would, CEL rules apart, and applies
// their defaults. Only the keywords that our schemas use: an unknown one is an error, so that none is ignored.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-validations'?: readonly {
    readonly rule: string;
    readonly message: string;
  }[];
}

/** Every keyword above. */
export const KEYWORDS: readonly string[] = [
  'type',
  'description',
  'properties',
  'additionalProperties',
  'items',
  'required',
  'enum',
  'default',
  'pattern',
  'format',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'minimum',
  'maximum',
  'anyOf',
  'x-kubernetes-int-or-string',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
] satisfies readonly (keyof Schema)[];

export interface CustomResourceDefinition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly names: {
      readonly kind: string;
      readonly plural: string;
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly versions: readonly {
      readonly additionalPrinterColumns: readonly {
        readonly name: string;
        readonly jsonPath: string;
        readonly priority?: number;
      }[];
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

/** Reads one of the YAML files beside this folder. */
export function readDefinition(file: string): CustomResourceDefinition {
  const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
  return parse(text, { merge: true }) as CustomResourceDefinition;
}

export function schemaOf(definition: CustomResourceDefinition): Schema {
  const version = definition.spec.versions[0];
  if (version === undefined) {
    throw new Error(`${definition.metadata.name} has no version`);
  }
  return version.schema.openAPIV3Schema;
}

/** All violations, as `path: what is wrong`. Unknown fields count: the API server prunes or refuses them. */
export function violations(schema: Schema, value: unknown, path = ''): readonly string[] {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return intOrString(schema, value, path);
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    return [`${path}: ${JSON.stringify(value)} is none of ${schema.enum.join(', ')}`];
  }
  const check = CHECKS[schema.type ?? ''];
  if (check === undefined) {
    throw new Error(`${path}: this checker does not know the type ${String(schema.type)}`);
  }
  return check(schema, value, path);
}

type Check = (schema: Schema, value: unknown, path: string) => readonly string[];

const CHECKS: Readonly<Record<string, Check>> = {
  object: objectViolations,
  array: arrayViolations,
  string: (schema, value, path) =>
    typeof value === 'string' ? stringViolations(schema, value, path) : [`${path}: no string`],
  integer: (schema, value, path) =>
    Number.isSafeInteger(value)
      ? numberViolations(schema, value as number, path)
      : [`${path}: no integer`],
  number: (schema, value, path) =>
    typeof value === 'number' ? numberViolations(schema, value, path) : [`${path}: no number`],
  boolean: (_schema, value, path) => (typeof value === 'boolean' ? [] : [`${path}: no boolean`]),
};

function objectViolations(schema: Schema, value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [`${path}: no object`];
  }
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  const missing = (schema.required ?? [])
    .filter((name) => !entries.some(([key]) => key === name))
    .map((name) => `${path}.${name}: missing`);
  const tooMany =
    entries.length > (schema.maxProperties ?? Infinity) ? [`${path}: too many members`] : [];
  // The API server knows the shape of metadata by itself.
  if (schema['x-kubernetes-preserve-unknown-fields'] === true || path === '.metadata') {
    return [...missing, ...tooMany];
  }
  const inside = entries.flatMap(([key, member]) => {
    const known = schema.properties?.[key] ?? schema.additionalProperties;
    return known === undefined
      ? [`${path}.${key}: unknown field`]
      : violations(known, member, `${path}.${key}`);
  });
  return [...missing, ...tooMany, ...inside];
}

function arrayViolations(schema: Schema, value: unknown, path: string): readonly string[] {
  if (!Array.isArray(value)) {
    return [`${path}: no array`];
  }
  const found: string[] = [];
  if (value.length > (schema.maxItems ?? Infinity) || value.length < (schema.minItems ?? 0)) {
    found.push(`${path}: ${value.length} items`);
  }
  const keys = schema['x-kubernetes-list-map-keys'];
  const identities = value.map((item: unknown) =>
    JSON.stringify(keys?.map((key) => (item as Record<string, unknown>)[key]) ?? item),
  );
  const isSet = ['set', 'map'].includes(schema['x-kubernetes-list-type'] ?? '');
  if (isSet && new Set(identities).size < identities.length) {
    found.push(`${path}: the same item twice`);
  }
  const items = schema.items;
  if (items === undefined) {
    throw new Error(`${path}: an array without items`);
  }
  return [
    ...found,
    ...value.flatMap((item, index) => violations(items, item, `${path}[${index}]`)),
  ];
}

function stringViolations(schema: Schema, value: string, path: string): readonly string[] {
  const found: string[] = [];
  if (value.length > (schema.maxLength ?? Infinity) || value.length < (schema.minLength ?? 0)) {
    found.push(`${path}: ${value.length} characters`);
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) {
    found.push(`${path}: ${JSON.stringify(value)} does not match ${schema.pattern}`);
  }
  if (schema.format === 'date-time' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)) {
    found.push(`${path}: no RFC 3339 time`);
  }
  return found;
}

function numberViolations(schema: Schema, value: number, path: string): readonly string[] {
  const within = value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity);
  return within ? [] : [`${path}: ${value} is out of range`];
}

function intOrString(schema: Schema, value: unknown, path: string): readonly string[] {
  if (Number.isSafeInteger(value)) {
    return [];
  }
  return typeof value === 'string'
    ? stringViolations(schema, value, path)
    : [`${path}: neither an integer nor a string`];
}

/** A copy with the schema's defaults filled in, as the API server stores it. */
export function withDefaults(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => withDefaults(items, item));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const filled: Record<string, unknown> = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (filled[name] === undefined && property.default !== undefined) {
      filled[name] = property.default;
    }
    if (filled[name] !== undefined) {
      filled[name] = withDefaults(property, filled[name]);
    }
  }
  return filled;
}

/** Every schema inside a schema, itself first, with its path. */
export function everySchema(schema: Schema, path = ''): readonly (readonly [string, Schema])[] {
  return [
    [path, schema] as const,
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
      everySchema(property, `${path}.${name}`),
    ),
    ...(schema.items === undefined ? [] : everySchema(schema.items, `${path}[]`)),
    ...(schema.additionalProperties === undefined
      ? []
      : everySchema(schema.additionalProperties, `${path}.*`)),
  ];
}

/** Paths of the fields of a value, spelled as `everySchema` spells them; it stops where the schema does. */
export function fieldPaths(schema: Schema, value: unknown, path = ''): readonly string[] {
  const own = [path];
  if (schema.items !== undefined && Array.isArray(value)) {
    const { items } = schema;
    return [...own, ...value.flatMap((item) => fieldPaths(items, item, `${path}[]`))];
  }
  if (typeof value !== 'object' || value === null || path === '.metadata') {
    return own;
  }
  const members = Object.entries(value).flatMap(([name, member]) => {
    const { properties, additionalProperties } = schema;
    if (properties?.[name] !== undefined) {
      return fieldPaths(properties[name], member, `${path}.${name}`);
    }
    if (additionalProperties !== undefined) {
      return fieldPaths(additionalProperties, member, `${path}.*`);
    }
    return schema['x-kubernetes-preserve-unknown-fields'] === true ? [] : [`${path}.${name}`];
  });
  return [...own, ...members];
}
