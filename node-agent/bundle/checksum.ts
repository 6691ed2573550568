// What the content of a file is compared by. On a store, where others can write: a sha256. What only passes through two
// nodes is kept from everybody else by TLS and by the rights of a folder, so crc32 has to find only what we or a disk
// spoil, for a tenth of the processor time.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export type ChecksumKind = 'sha256' | 'crc32';
/** One of them, in hexadecimal digits. */
export type Checksum = { readonly [Kind in ChecksumKind]?: string };

/** Adds up a file piece by piece. */
export interface Summing {
  update(bytes: Uint8Array): void;
  end(): Checksum;
}

const FORMATS: Readonly<Record<ChecksumKind, RegExp>> = {
  sha256: /^[0-9a-f]{64}$/,
  crc32: /^[0-9a-f]{8}$/,
};

export function summing(kind: ChecksumKind): Summing {
  if (kind === 'sha256') {
    const hash = createHash('sha256');
    return {
      update: (bytes) => void hash.update(bytes),
      end: () => ({ sha256: hash.digest('hex') }),
    };
  }
  let sum = 0;
  return {
    update: (bytes) => void (sum = crc32(bytes, sum)),
    end: () => ({ crc32: sum.toString(16).padStart(8, '0') }),
  };
}

export function isReadable(checksum: Checksum, kind: ChecksumKind): boolean {
  return FORMATS[kind].test(checksum[kind] ?? '');
}
