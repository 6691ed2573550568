// Compares a record here with what CRIU's image tool says about it.
import assert from 'node:assert/strict';
import { type Message, messageOf, type NamedField } from '../codec.ts';
import { camelCase, critDecode } from './criu.ts';
import type { Written } from './fill.ts';
import type { EnumerationNumbers } from './schema.ts';

type Shown = Readonly<Record<string, unknown>>;

/** Numbers from here on are this project's: CRIU's tool does not show them. */
const OWN_FIELDS = 5000;

function unquote(text: string): Uint8Array {
  const joined = text.replaceAll('=\n', '');
  const latin1 = joined.replace(/=([0-9A-F]{2})/g, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Uint8Array.from(Buffer.from(latin1, 'latin1'));
}

function scalarFrom(
  shown: unknown,
  message: string,
  field: NamedField,
  names: EnumerationNumbers,
): unknown {
  const { name } = field.type;
  if (name === 'enum') return names(message, field.number)[String(shown)];
  if (name === 'bytes') {
    // socket addresses are shown quoted-printable, all else is base64
    if (message === 'unix_sk_entry') return unquote(String(shown));
    return Uint8Array.from(Buffer.from(String(shown), 'base64'));
  }
  return typeof shown === 'bigint' && !name.endsWith('64') ? Number(shown) : shown;
}

/** The tool's record as a value of ours; `extra`, the raw bytes, is left out. */
function valueFrom(shown: unknown, message: Message<unknown>, names: EnumerationNumbers): Shown {
  const given = new Map(
    Object.entries(shown as Shown).map(([key, value]) => [camelCase(key), value]),
  );
  const value: Record<string, unknown> = {};
  for (const field of message.fields) {
    const nested = messageOf(field.type);
    const one = (element: unknown) =>
      nested ? valueFrom(element, nested, names) : scalarFrom(element, message.name, field, names);
    const content = given.get(field.key);
    given.delete(field.key);
    if (field.label === 'repeated') value[field.key] = ((content ?? []) as unknown[]).map(one);
    else if (content !== undefined) value[field.key] = one(content);
  }
  given.delete('extra');
  assert.deepStrictEqual([...given.keys()], [], `${message.name}: fields unknown here`);
  return value;
}

/** The record without this project's fields, as if they had never been described. */
function withoutOwnFields(value: unknown, message: Message<unknown>): Shown {
  const shared: Record<string, unknown> = {};
  for (const { key, number, label, type } of message.fields) {
    const content = (value as Shown)[key];
    const nested = messageOf(type);
    const one = (element: unknown) => (nested ? withoutOwnFields(element, nested) : element);
    if (number >= OWN_FIELDS) {
      if (label === 'repeated') shared[key] = [];
    } else if (label === 'repeated') shared[key] = (content as unknown[]).map(one);
    else if (content !== undefined) shared[key] = one(content);
  }
  return shared;
}

/**
 * @returns whether CRIU's tool knows this image at all
 * @throws AssertionError when the tool shows other records than were written
 */
export function assertCritReads(
  file: string,
  written: Written,
  names: EnumerationNumbers,
): boolean {
  const { image, head, records } = written;
  const values = records.map(({ record }) => ({ message: image.record, value: record }));
  if (image.head) values.unshift({ message: image.head, value: head });
  const shown = critDecode(file);
  if (!shown) return false;
  assert.equal(shown.length, values.length, file);
  for (const [index, { message, value }] of values.entries()) {
    const seen = valueFrom(shown[index], message, names);
    assert.deepStrictEqual(seen, withoutOwnFields(value, message), `${file}, record ${index}`);
  }
  return true;
}
