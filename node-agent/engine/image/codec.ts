// Messages of proto2 as values: one description gives the encoder, the decoder and the TypeScript type.
import { Reader, Writer } from 'protobufjs/minimal.js';
import { FieldFault, faultIn, type Where } from './image-error.ts';
import { type FieldType, readElements, WIRE } from './scalars.ts';

export * from './scalars.ts';

type Label = 'required' | 'optional' | 'repeated';

/** One field of a message as it is described. */
export interface Field<T, L extends Label = Label> {
  readonly label: L;
  readonly number: number;
  readonly type: FieldType<T>;
}

type Fields = Readonly<Record<string, Field<unknown>>>;

type KeysOf<F extends Fields, L extends Label> = {
  [K in keyof F]: F[K] extends Field<unknown, L> ? K : never;
}[keyof F];

type ElementOf<X> = X extends Field<infer T> ? T : never;

type Flat<T> = { [K in keyof T]: T[K] };

/** The value that a description stands for. */
type ValueOf<F extends Fields> = Flat<
  { readonly [K in KeysOf<F, 'required'>]: ElementOf<F[K]> } & {
    readonly [K in KeysOf<F, 'optional'>]?: ElementOf<F[K]>;
  } & { readonly [K in KeysOf<F, 'repeated'>]: readonly ElementOf<F[K]>[] }
>;

/** The TypeScript type of a message: `type PstreeEntry = Infer<typeof pstreeEntry>`. */
export type Infer<M> = M extends Message<infer T> ? T : never;

/** A message under construction: any field may still be missing. */
export type Incomplete<T> = T extends Uint8Array | bigint | number | string | boolean
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Incomplete<Element>[]
    : { readonly [Key in keyof T]?: Incomplete<Exclude<T[Key], undefined>> };

/** A described field together with its name in TypeScript, which is CRIU's in camelCase. */
export interface NamedField extends Field<unknown> {
  readonly key: string;
}

export function required<T>(number: number, type: FieldType<T>): Field<T, 'required'> {
  return { label: 'required', number, type };
}

export function optional<T>(number: number, type: FieldType<T>): Field<T, 'optional'> {
  return { label: 'optional', number, type };
}

/** Read packed or not; written one by one, since CRIU's messages pack no field. */
export function repeated<T>(number: number, type: FieldType<T>): Field<T, 'repeated'> {
  return { label: 'repeated', number, type };
}

/** Deepest nesting that is read; CRIU's deepest message, a cgroup tree, is as deep as its directories. */
const MAX_DEPTH = 100;

/** Description of a message, and a field type itself, so that messages nest. */
export class Message<T> implements FieldType<T> {
  /** CRIU's name, `pstree_entry` */
  readonly name: string;
  readonly wireType = WIRE.bytes;
  /** in the order in which CRIU writes them: ascending numbers */
  readonly fields: readonly NamedField[];
  readonly #byNumber: ReadonlyMap<number, NamedField>;
  readonly #repeated: readonly string[];
  readonly #required: readonly string[];

  constructor(name: string, fields: Fields) {
    this.name = name;
    this.fields = Object.entries(fields)
      .map(([key, field]) => ({ key, ...field }))
      .sort((a, b) => a.number - b.number);
    this.#byNumber = new Map(this.fields.map((field) => [field.number, field]));
    if (this.#byNumber.size !== this.fields.length)
      throw new Error(`${name}: a number is used twice`);
    const keys = (label: Label) => this.fields.filter((f) => f.label === label).map((f) => f.key);
    this.#repeated = keys('repeated');
    this.#required = keys('required');
  }

  /**
   * Decodes one message. Fields that are not described are skipped, a single field that comes twice counts last.
   *
   * @throws ImageError for anything but a complete message
   */
  decode(data: Uint8Array, where: Where = { file: this.name }): T {
    try {
      return this.#readFields(new Reader(data), 0);
    } catch (error) {
      throw faultIn(undefined, error).at(where);
    }
  }

  /** @throws ImageError when a required field is missing or a value does not fit its type */
  encode(value: T, where: Where = { file: this.name }): Uint8Array {
    const writer = new Writer();
    this.encodeTo(writer, value, where);
    return writer.finish();
  }

  /** Like {@link encode}, behind what the writer holds already. */
  encodeTo(writer: Writer, value: T, where: Where): void {
    try {
      this.#writeFields(writer, value as Readonly<Record<string, unknown>>);
    } catch (error) {
      throw faultIn(undefined, error).at(where);
    }
  }

  /**
   * Makes a draft a value: repeated fields that are missing become empty.
   *
   * @throws ImageError when a required field is missing
   */
  complete(draft: Incomplete<T>, where: Where = { file: this.name }): T {
    try {
      return this.completeNested(draft);
    } catch (error) {
      throw faultIn(undefined, error).at(where);
    }
  }

  read(reader: Reader, depth: number): T {
    if (depth >= MAX_DEPTH) throw new FieldFault(`nested deeper than ${MAX_DEPTH} messages`, []);
    return within(reader, () => this.#readFields(reader, depth + 1));
  }

  write(writer: Writer, value: T): void {
    writer.fork();
    this.#writeFields(writer, value as Readonly<Record<string, unknown>>);
    writer.ldelim();
  }

  #readFields(reader: Reader, depth: number): T {
    const value: Record<string, unknown> = {};
    for (const key of this.#repeated) value[key] = [];
    let current: NamedField | undefined;
    try {
      while (reader.pos < reader.len) {
        current = undefined;
        const tag = reader.tag();
        current = this.#byNumber.get(tag >>> 3);
        if (current) readField(reader, current, tag & 7, value, depth);
        else reader.skipType(tag & 7, depth, tag >>> 3);
      }
    } catch (error) {
      throw faultIn(current && place(current, (value[current.key] as unknown[])?.length), error);
    }
    this.#demand(value);
    return value as T;
  }

  #writeFields(writer: Writer, value: Readonly<Record<string, unknown>>): void {
    this.#demand(value);
    for (const field of this.fields) {
      const content = value[field.key];
      if (content !== undefined) writeField(writer, field, content);
    }
  }

  /** {@link complete} for a message inside a message. @throws FieldFault */
  completeNested(draft: unknown): T {
    const given = draft as Readonly<Record<string, unknown>>;
    const value: Record<string, unknown> = {};
    for (const field of this.fields) {
      const { key, label } = field;
      const content = given[key] ?? (label === 'repeated' ? [] : undefined);
      if (label === 'repeated') {
        const list = content as readonly unknown[];
        value[key] = list.map((element, index) => completed(field, element, index));
      } else if (content !== undefined) value[key] = completed(field, content);
    }
    this.#demand(value);
    return value as T;
  }

  #demand(value: Readonly<Record<string, unknown>>): void {
    for (const key of this.#required) {
      if (value[key] === undefined) throw missing().within(key);
    }
  }
}

/** Describes a message; `name` is CRIU's, the keys are CRIU's field names in camelCase. */
export function message<F extends Fields>(name: string, fields: F): Message<ValueOf<F>> {
  return new Message<ValueOf<F>>(name, fields);
}

/** The message behind a field type, or undefined for a scalar. */
export function messageOf(type: FieldType<unknown>): Message<unknown> | undefined {
  if (type instanceof Message) return type;
  return type instanceof Later ? type.later() : undefined;
}

/** A message type that is described later: for messages that hold themselves. */
export function lazy<T>(name: string, later: () => Message<T>): FieldType<T> {
  return new Later(name, later);
}

class Later<T> implements FieldType<T> {
  readonly name: string;
  readonly wireType = WIRE.bytes;
  readonly later: () => Message<T>;

  constructor(name: string, later: () => Message<T>) {
    this.name = name;
    this.later = later;
  }

  read(reader: Reader, depth: number): T {
    return this.later().read(reader, depth);
  }

  write(writer: Writer, value: T): void {
    this.later().write(writer, value);
  }
}

function missing(): FieldFault {
  return new FieldFault('required field is missing', []);
}

function place({ key, label }: NamedField, index: number | undefined): string {
  return label === 'repeated' && index !== undefined ? `${key}[${index}]` : key;
}

function completed(field: NamedField, content: unknown, index?: number): unknown {
  const nested = messageOf(field.type);
  if (!nested) return content;
  try {
    return nested.completeNested(content);
  } catch (error) {
    throw faultIn(place(field, index), error);
  }
}

/** Reads a length and gives the reader to `body` with its end drawn in to that length. */
function within<T>(reader: Reader, body: () => T): T {
  const length = reader.uint32();
  const outer = reader.len;
  const end = reader.pos + length;
  if (end > outer)
    throw new FieldFault(`${length} bytes announced, ${outer - reader.pos} left`, []);
  reader.len = end;
  const value = body();
  reader.len = outer;
  return value;
}

function readField(
  reader: Reader,
  field: NamedField,
  wireType: number,
  value: Record<string, unknown>,
  depth: number,
): void {
  const { key, type, label } = field;
  if (wireType === type.wireType) {
    if (label === 'repeated') readElements(reader, field, value[key] as unknown[], depth);
    else value[key] = type.read(reader, depth);
    return;
  }
  if (label !== 'repeated' || wireType !== WIRE.bytes) {
    throw new FieldFault(`wire type ${wireType} where ${type.name} has ${type.wireType}`, []);
  }
  const list = value[key] as unknown[];
  within(reader, () => {
    while (reader.pos < reader.len) list.push(type.read(reader, depth));
  });
}

function writeField(writer: Writer, field: NamedField, content: unknown): void {
  const { type, number, label } = field;
  const tag = ((number << 3) | type.wireType) >>> 0;
  let index = 0;
  try {
    for (const element of label === 'repeated' ? (content as readonly unknown[]) : [content]) {
      writer.uint32(tag);
      type.write(writer, element);
      index++;
    }
  } catch (error) {
    throw faultIn(place(field, index), error);
  }
}
