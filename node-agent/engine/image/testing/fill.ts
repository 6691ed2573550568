// Writes one image of every kind with random records, payloads included.
import type { Message } from '../codec.ts';
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

/**
 * What says how an image goes on: chunks behind a ghost file, no messages behind a queue, a segment's data behind it
 * (CRIU's tool loses its way where the data is in a pagemap).
 */
const CONTINUATIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ghost_file_entry: { chunks: true },
  ipc_msg_entry: { qnum: 0 },
  ipc_shm_entry: { inPagemaps: false },
};

/** The record with its announced lengths brought down to something that can be written. */
function adjusted<Rec>(record: Rec, message: Message<Rec>): Rec {
  const changed = { ...record, ...CONTINUATIONS[message.name] } as Record<string, unknown>;
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
  const head = image.head && adjusted(randomValue(random, image.head, options), image.head);
  if (head) writer.head(image, head);
  const records = Array.from({ length: options.records }, () => {
    const record = adjusted(randomValue(random, image.record, options), image.record);
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
