// Strings of the kernel (paths, command names) are bytes: UTF-8 where they can be, and exact where they are not.

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const BYTE_ESCAPE = 0xdc00;

/**
 * Text of any bytes, so that {@link encodeText} gives the very same bytes back: what is not UTF-8 becomes one lone
 * low surrogate a byte, U+DC80 to U+DCFF (Python's PEP 383 does the same with file names).
 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeWithEscapes(bytes);
  }
}

/** Bytes of a text from {@link decodeText} or of any other well-formed string. */
export function encodeText(text: string): Uint8Array {
  if (text.isWellFormed()) return encoder.encode(text);
  const parts: Uint8Array[] = [];
  let plain = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < BYTE_ESCAPE + 0x80 || code > BYTE_ESCAPE + 0xff) {
      plain += character;
      continue;
    }
    parts.push(encoder.encode(plain), Uint8Array.of(code - BYTE_ESCAPE));
    plain = '';
  }
  parts.push(encoder.encode(plain));
  return Uint8Array.from(Buffer.concat(parts));
}

/** Length of the UTF-8 sequence that starts with this byte, 0 if none does. */
function sequenceBytes(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

function decodeWithEscapes(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceBytes(bytes[at]!);
    const character = length === 0 ? undefined : wellFormed(bytes.subarray(at, at + length));
    text += character ?? String.fromCharCode(BYTE_ESCAPE + bytes[at]!);
    at += character === undefined ? 1 : length;
  }
  return text;
}

function wellFormed(sequence: Uint8Array): string | undefined {
  try {
    return strict.decode(sequence);
  } catch {
    return undefined;
  }
}
