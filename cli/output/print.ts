// Objects and facts as documents for programs (pure).
import { stringify } from 'yaml';
import type { TypedObject } from '../../crds/meta.ts';
import type { OutputFormat } from '../arguments/option.ts';
import { qualifiedName } from '../kinds.ts';

/** One object in a format of `-o`. */
export function printed(object: TypedObject, format: OutputFormat): string {
  return format === 'name' ? `${qualifiedName(object)}\n` : document(tidy(object), format);
}

/** Without the book-keeping of server-side apply, as kubectl prints objects. */
export function tidy<T extends TypedObject>(object: T): T {
  const metadata = { ...object.metadata, managedFields: undefined };
  return { ...object, metadata };
}

/** Any value; 64-bit values as hexadecimal text. */
export function document(value: unknown, format: 'json' | 'yaml'): string {
  const plain = JSON.parse(JSON.stringify(value, bigintAsText)) as unknown;
  return format === 'json' ? `${JSON.stringify(plain, undefined, 2)}\n` : stringify(plain);
}

/** Addresses and offsets have 64 bits, numbers of JSON 53. */
function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
}
