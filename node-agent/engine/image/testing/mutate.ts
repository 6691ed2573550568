// Images that are well-formed and mean something else: one value, record or list of a real image is changed.
import type { Message } from '../codec.ts';
import { ImageError } from '../image-error.ts';
import type { AnyImage } from '../image-files.ts';
import { below, pick, type Random, randomBytes } from './random.ts';

const LENGTH_BYTES = 4;
/** Images whose records are of different kinds. */
const MIXED = /^(ghost-file|ipcns-msg)-/;

/** One record as it lies in the file. */
interface Piece {
  readonly message: Message<unknown>;
  readonly body: Uint8Array;
  /** raw bytes behind it */
  readonly payload: Uint8Array;
}

/** @returns the changed file; undefined when there is nothing to change in this way */
export function mutate(random: Random, image: AnyImage, sound: Buffer): Buffer | undefined {
  const headerBytes = image.framing === 'inventory' ? 4 : 8;
  if (MIXED.test(image.file) || sound.length <= headerBytes) return undefined;
  const pieces = split(image, sound.subarray(headerBytes));
  const at = below(random, pieces.length);
  const changed = [...pieces];
  const kind = below(random, 10);
  if (kind === 0) changed.splice(at, 1);
  else if (kind === 1) changed.splice(at, 0, pick(random, pieces));
  else changed[at] = changedPiece(random, pieces[at]!);
  return Buffer.concat([sound.subarray(0, headerBytes), ...changed.map(joined)]);
}

function split(image: AnyImage, records: Buffer): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < records.length; ) {
    const message = pieces.length === 0 && image.head ? image.head : image.record;
    const end = at + LENGTH_BYTES + records.readUInt32LE(at);
    const body = records.subarray(at + LENGTH_BYTES, end);
    const raw = message === image.record ? (image.payload?.bytes(message.decode(body)) ?? 0) : 0;
    const align = image.payload?.align ?? 1;
    at = end + Math.ceil(raw / align) * align;
    pieces.push({ message, body, payload: records.subarray(end, at) });
  }
  return pieces;
}

function joined({ body, payload }: Piece): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(body.length, 0);
  return Buffer.concat([length, body, payload]);
}

const ATTEMPTS = 5;

function changedPiece(random: Random, piece: Piece): Piece {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const value = piece.message.decode(piece.body);
    const places = leaves(value);
    if (places.length === 0) return piece;
    const { holder, key } = pick(random, places);
    holder[key] = other(random, holder[key]);
    try {
      return { ...piece, body: piece.message.encode(value) };
    } catch (error) {
      // A value that the field cannot hold: another one.
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return piece;
}

interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

/** Every value and every list below a message. */
function leaves(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => {
    const below = leaves(holder[key]);
    const isMessage = below.length > 0 && !Array.isArray(holder[key]);
    return isMessage ? below : [{ holder, key }, ...below];
  });
}

const NUMBERS = [0, 1, 2, 3, 63, 64, 255, 4096, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const WORDS = NUMBERS.map(BigInt).concat([1n << 32n, 1n << 47n, 1n << 63n, (1n << 64n) - 1n]);
const TEXTS = ['', '/', '..', '../../etc/passwd', '/nothing/there', '\0', 'x'.repeat(5000), '%s'];

function other(random: Random, value: unknown): unknown {
  const near = below(random, 2) === 0;
  const sign = below(random, 2) * 2 - 1;
  if (typeof value === 'number') return near ? value + sign : pick(random, NUMBERS);
  if (typeof value === 'bigint') {
    return near ? value + BigInt(sign) * pick(random, [1n, 4096n]) : pick(random, WORDS);
  }
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return pick(random, TEXTS);
  return Array.isArray(value) ? otherList(random, value) : otherBytes(random, value);
}

function otherList(random: Random, list: readonly unknown[]): unknown[] {
  if (list.length === 0) return [];
  const at = below(random, list.length);
  switch (below(random, 4)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return [...list, list[at]];
    case 2:
      return list.toReversed();
    default:
      return Array.from({ length: 2000 }, () => list[at]);
  }
}

function otherBytes(random: Random, value: unknown): Uint8Array {
  const bytes = value instanceof Uint8Array ? value : new Uint8Array(0);
  return pick(random, [
    new Uint8Array(0),
    bytes.subarray(1),
    randomBytes(random, bytes.length),
    new Uint8Array(70_000),
  ]);
}
