// Compares the descriptions here with those of CRIU's own bindings.
import type { Message } from '../codec.ts';
import { camelCase, type CriuField } from './criu.ts';

type Messages = Readonly<Record<string, readonly CriuField[]>>;

/** Fields that exist for other processors only: not described here, so skipped on reading. */
const OTHER_PROCESSORS = /_(arm|aarch64|ppc64|s390|mips|loongarch64|riscv64)(_entry)?$/;
/** Numbers from here on are this project's (fields that CRIU skips). */
const OWN_FIELDS = 5000;
/** Messages that only our fields hold. */
const OWN_MESSAGE = /^diapause_/;

/** What differs, one line each: names, numbers, labels, types, packing. */
export function compareSchemas(ours: readonly Message<unknown>[], theirs: Messages): string[] {
  const shared = ours.filter(({ name }) => !OWN_MESSAGE.test(name));
  return shared.flatMap((message) => {
    const known = theirs[message.name];
    if (!known) return [`${message.name}: unknown to CRIU`];
    const expected = known
      .filter(({ type }) => !OTHER_PROCESSORS.test(type))
      .map(({ number, name, label, type, packed }) =>
        [number, camelCase(name), label, type, packed ? 'packed' : ''].join(' '),
      );
    const found = message.fields
      .filter(({ number }) => number < OWN_FIELDS)
      .map(({ number, key, label, type }) => [number, key, label, type.name, ''].join(' '));
    const lacks = expected
      .filter((field) => !found.includes(field))
      .map((field) => `lacks ${field}`);
    const extra = found.filter((field) => !expected.includes(field)).map((field) => `has ${field}`);
    return [...lacks, ...extra].map((line) => `${message.name}: ${line}`);
  });
}

/** Numbers by name of the enumeration that a field holds. */
export type EnumerationNumbers = (
  message: string,
  field: number,
) => Readonly<Record<string, number>>;

export function enumerationNumbers(theirs: Messages): EnumerationNumbers {
  return (message, field) => {
    const values = theirs[message]?.find(({ number }) => number === field)?.values;
    if (!values) throw new Error(`${message} field ${field} is no enumeration`);
    return values;
  };
}
