// Objects and facts as documents for programs (pure).
import { stringify } from 'yaml';
import type { TypedObject } from '../../crds/meta.ts';
import type { OutputFormat } from '../arguments/option.ts';
import { qualifiedName } from '../kinds.ts';

/** One object in a format of `-o`. */
export function printed(object: TypedObject, format: OutputFormat): string {
  return format === 'name' ? `${qualifiedName(object)}\n` : document(object, format);
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
