// Resource quantities: `1.5Gi`, `100m`, `2e3`. Source: k8s.io/apimachinery/pkg/api/resource.

const QUANTITY =
  /^([+-]?)(\d*)(?:\.(\d*))?(?:([eE])([+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;
const DECIMAL_EXPONENTS: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** The API server caps quantities at 2^63 - 1. */
const MAX_EXPONENT = 18;

/** An exact fraction. */
interface Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/**
 * The value as a number: cores, a ratio. May lose digits beyond 2^53.
 * @throws RangeError for text that is no quantity
 */
export function parseQuantity(text: string): number {
  const { numerator, denominator } = parse(text);
  return Number(numerator) / Number(denominator);
}

/**
 * The value in whole bytes, rounded away from zero as the API server does.
 * @throws RangeError for text that is no quantity, or more than 2^53 - 1 bytes
 */
export function parseBytes(text: string): number {
  const { numerator, denominator } = parse(text);
  const whole = numerator / denominator;
  const rest = numerator % denominator;
  const bytes = Number(whole + (rest > 0n ? 1n : rest < 0n ? -1n : 0n));
  if (!Number.isSafeInteger(bytes)) {
    throw new RangeError(`quantity "${text}" is more than 2^53 - 1 bytes`);
  }
  return bytes;
}

/** Exact and canonical: the largest binary suffix that leaves a whole number (`1536Mi`, `1025`). */
export function formatBytes(sizeBytes: number): string {
  let value = sizeBytes;
  let step = 0;
  while (value !== 0 && value % 1024 === 0 && step < BINARY_SUFFIXES.length - 1) {
    value /= 1024;
    step++;
  }
  return `${value}${BINARY_SUFFIXES[step]}`;
}

/** For people and printer columns, a valid quantity still: three digits at most, rounded up (`105Mi`, `1.3Gi`). */
export function formatBytesRounded(sizeBytes: number): string {
  let value = sizeBytes;
  let step = 0;
  while (value >= 1000 && step < BINARY_SUFFIXES.length - 1) {
    value /= 1024;
    step++;
  }
  const digits = step > 0 && value < 10 ? 10 : 1;
  return `${Math.ceil(value * digits) / digits}${BINARY_SUFFIXES[step]}`;
}

function parse(text: string): Fraction {
  const [, sign = '', whole = '', decimals = '', exponentMark, exponent, suffix = ''] =
    QUANTITY.exec(text) ?? [];
  if (whole + decimals === '') {
    throw new RangeError(`"${text}" is no quantity; write it like 500m, 1.5Gi or 2e9`);
  }
  const mantissa = BigInt(`${sign === '-' ? '-' : ''}${whole}${decimals}`);
  const binary = BINARY_SUFFIXES.indexOf(suffix);
  const factor = binary > 0 ? 1024n ** BigInt(binary) : 1n;
  const ten = exponentMark === undefined ? (DECIMAL_EXPONENTS[suffix] ?? 0) : Number(exponent);
  if (Math.abs(ten) > MAX_EXPONENT) {
    throw new RangeError(`quantity "${text}" is out of range`);
  }
  const shift = ten - decimals.length;
  return shift >= 0
    ? { numerator: mantissa * factor * 10n ** BigInt(shift), denominator: 1n }
    : { numerator: mantissa * factor, denominator: 10n ** BigInt(-shift) };
}
