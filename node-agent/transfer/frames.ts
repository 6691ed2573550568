// What the two agents of a transfer say to each other: a byte for the kind, four for the length, the content.
import { TaskFailure } from '../task-failure.ts';

export const FRAME = {
  /** source: JSON {@link Offer}, the first word */
  offer: 1,
  /** source: path of the file whose bytes follow */
  file: 2,
  /** source: bytes of that file */
  data: 3,
  /** source: the manifest, the last word */
  manifest: 4,
  /** target: there is room, go on */
  ready: 5,
  /** target: the whole bundle is there and is what the manifest says */
  stored: 6,
  /** either: JSON {@link Refusal}, the last word */
  failed: 7,
  /** either: still here */
  alive: 8,
} as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

/** 1 had sha256 in the manifest. */
export const OFFER_VERSION = 2;

export interface Offer {
  readonly version: typeof OFFER_VERSION;
  /** about as many as will come */
  readonly expectedBytes: number;
}

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export interface Frame {
  readonly kind: FrameKind;
  /** of `data` any piece, of all others the whole content */
  readonly content: Buffer;
}

/** Of those of TLS 1.3 the one that takes the least processor time where AES is in hardware. */
export const CIPHER = 'TLS_AES_128_GCM_SHA256';

/** How often a side gives a sign of life. */
export const ALIVE_MILLIS = 2_000;

const HEADER_BYTES = 5;
const MAX_DATA_BYTES = 16 << 20;
/** Manifests are the largest; see MAX_MANIFEST_BYTES. */
const MAX_CONTENT_BYTES = 64 << 20;
const KINDS: readonly number[] = Object.values(FRAME);

export function frameHeader(kind: FrameKind, length: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(length, 1);
  return header;
}

/** Takes bytes as they come off the wire and gives frames; `data` is passed on without waiting for all of it. */
export class FrameParser {
  #header = Buffer.alloc(0);
  #kind: FrameKind = FRAME.alive;
  #left = 0;
  #pieces: Buffer[] = [];
  #inside = false;

  /** In the middle of a frame: an end of the stream here is a cut. */
  get incomplete(): boolean {
    return this.#inside || this.#header.length > 0;
  }

  /** @throws TaskFailure TransferFailed for anything that no agent of ours says */
  take(bytes: Buffer): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (!this.#inside) {
        at += this.#takeHeader(bytes.subarray(at));
      } else {
        const piece = bytes.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        this.#takeContent(piece, frames);
      }
      if (this.#inside && this.#left === 0) {
        this.#end(frames);
      }
    }
    return frames;
  }

  #takeHeader(bytes: Buffer): number {
    const wanted = HEADER_BYTES - this.#header.length;
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, wanted)]);
    if (this.#header.length < HEADER_BYTES) {
      return bytes.length;
    }
    const kind = this.#header.readUInt8(0);
    const length = this.#header.readUInt32BE(1);
    const maxBytes = kind === FRAME.data ? MAX_DATA_BYTES : MAX_CONTENT_BYTES;
    if (!KINDS.includes(kind) || length > maxBytes) {
      const facts = `the other agent said something unknown (kind ${kind}, ${length} bytes)`;
      throw new TaskFailure('TransferFailed', facts);
    }
    this.#kind = kind as FrameKind;
    this.#left = length;
    this.#inside = true;
    this.#header = Buffer.alloc(0);
    return wanted;
  }

  #takeContent(piece: Buffer, frames: Frame[]): void {
    if (this.#kind === FRAME.data) {
      frames.push({ kind: FRAME.data, content: piece });
    } else {
      this.#pieces.push(piece);
    }
  }

  #end(frames: Frame[]): void {
    this.#inside = false;
    if (this.#kind !== FRAME.data) {
      const content = Buffer.concat(this.#pieces);
      this.#pieces = [];
      frames.push({ kind: this.#kind, content });
    }
  }
}
