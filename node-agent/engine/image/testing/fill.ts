// Writes one image of every kind with random records, payloads included.
import type { AnyImage, Image } from '../image-files.ts';
import type { ImageWriter } from '../writer.ts';
import { type Random, randomBytes, randomValue, type RandomOptions } from './random.ts';
import { sampleImages } from './messages.ts';

/** Raw bytes that a random record announces stay below this. */
const MAX_PAYLOAD_BYTES = 5000;

const LENGTH_FIELDS = [
  'bytes',
  'length',
  'len',
  'size',
  'inqLen',
  'outqLen',
  'keysBytes',
  'valuesBytes',
  'nsems',
];

/** The record with its announced lengths brought down to something that can be written. */
function withSmallLengths<Rec>(record: Rec): Rec {
  const changed = { ...record } as Record<string, unknown>;
  for (const key of LENGTH_FIELDS) {
    const value = changed[key];
    if (typeof value === 'number') changed[key] = value % (MAX_PAYLOAD_BYTES / 2);
    if (typeof value === 'bigint') changed[key] = value % BigInt(MAX_PAYLOAD_BYTES);
  }
  return changed as Rec;
}

/** What was written to one image. */
export interface Written<Rec = unknown> {
  readonly image: AnyImage;
  readonly head: unknown;
  readonly records: readonly { readonly record: Rec; readonly payload: Uint8Array | undefined }[];
}

export function writeRandomImage<Rec, Head>(
  writer: ImageWriter,
  image: Image<Rec, Head>,
  random: Random,
  options: RandomOptions & { readonly records: number },
): Written<Rec> {
  const head = image.head && randomValue(random, image.head, options);
  if (head) writer.head(image, head);
  const records = Array.from({ length: options.records }, () => {
    const record = withSmallLengths(randomValue(random, image.record, options));
    const payload = image.payload && randomBytes(random, image.payload.bytes(record));
    writer.append(image, record, payload);
    return { record, payload };
  });
  return { image, head, records };
}

export function writeEveryImage(
  writer: ImageWriter,
  random: Random,
  options: RandomOptions & { readonly records: number },
): Written[] {
  return sampleImages().map((image) => writeRandomImage(writer, image, random, options));
}
