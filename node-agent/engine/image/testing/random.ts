// Seeded random values of any message, from its description: what the property tests and the fuzzer feed on.
import { type Message, messageOf, type NamedField } from '../codec.ts';
import { decodeText } from '../text.ts';

/** A sequence of numbers in [0, 1) that is the same for the same seed (mulberry32). */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)]!;
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => below(random, 256));
}

const EDGES_U32 = [0, 1, 127, 128, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const EDGES_I32 = [0, 1, -1, 0x7fff_ffff, -0x8000_0000];
const EDGES_U64 = [0n, 1n, 1n << 32n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n];
const EDGES_I64 = [0n, 1n, -1n, (1n << 63n) - 1n, -(1n << 63n), -(1n << 32n)];

function u64(random: Random): bigint {
  return (BigInt(below(random, 2 ** 32)) << 32n) | BigInt(below(random, 2 ** 32));
}

/** How wild the values are. */
export interface RandomOptions {
  /** only text that is UTF-8, for readers that demand it */
  readonly plainText?: boolean;
  /** the number of an enumeration; any number without it */
  readonly enumeration?: (message: string, field: number) => readonly number[];
}

const int32 = (random: Random) => below(random, 2 ** 32) - 2 ** 31;
const int64 = (random: Random) => BigInt.asIntN(64, u64(random));

/** A scalar by protobuf's name of its type. */
const SCALARS: Readonly<Record<string, (random: Random, edge: boolean) => unknown>> = {
  bool: (random) => random() < 0.5,
  uint32: (random, edge) => (edge ? pick(random, EDGES_U32) : below(random, 2 ** 32)),
  fixed32: (random, edge) => (edge ? pick(random, EDGES_U32) : below(random, 2 ** 32)),
  enum: (random) => pick(random, EDGES_I32),
  int32: (random, edge) => (edge ? pick(random, EDGES_I32) : int32(random)),
  sint32: (random, edge) => (edge ? pick(random, EDGES_I32) : int32(random)),
  uint64: (random, edge) => (edge ? pick(random, EDGES_U64) : u64(random)),
  fixed64: (random, edge) => (edge ? pick(random, EDGES_U64) : u64(random)),
  int64: (random, edge) => (edge ? pick(random, EDGES_I64) : int64(random)),
  sint64: (random, edge) => (edge ? pick(random, EDGES_I64) : int64(random)),
  bytes: (random) => randomBytes(random, below(random, 200)),
  string: (random) => decodeText(randomBytes(random, below(random, 100))),
};

const PLAIN_TEXTS = ['', 'a', '/tmp/ä b', '𝄞'.repeat(40)];

function scalar(
  random: Random,
  message: string,
  field: NamedField,
  options: RandomOptions,
): unknown {
  const { name } = field.type;
  if (name === 'enum' && options.enumeration) {
    return pick(random, options.enumeration(message, field.number));
  }
  if (name === 'string' && options.plainText) return pick(random, PLAIN_TEXTS);
  const make = SCALARS[name];
  if (!make) throw new Error(`no random value for ${name}`);
  return make(random, random() < 0.3);
}

/** Deeper messages get no optional and repeated ones any more. */
const MAX_DEPTH = 5;

/** A value of a message with every field there in some of the values. */
export function randomValue<T>(
  random: Random,
  message: Message<T>,
  options: RandomOptions = {},
  depth = 0,
): T {
  const value: Record<string, unknown> = {};
  for (const field of message.fields) {
    const nested = messageOf(field.type);
    const deep = nested !== undefined && depth >= MAX_DEPTH;
    const content = () =>
      nested
        ? randomValue(random, nested, options, depth + 1)
        : scalar(random, message.name, field, options);
    if (field.label === 'required') value[field.key] = content();
    else if (field.label === 'repeated') {
      value[field.key] = Array.from({ length: deep ? 0 : below(random, 4) }, content);
    } else if (!deep && random() < 0.5) value[field.key] = content();
  }
  return value as T;
}
