// A key and a certificate for one transfer: made when it begins, never written anywhere, worth nothing afterwards.
// Node reads certificates but makes none, so the few fields are put together here (DER, RFC 5280).
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface TransferIdentity {
  /** PEM */
  readonly key: string;
  /** PEM */
  readonly certificate: string;
  /** `sha256:<hex>` of the certificate; what the two sides tell each other through the API server */
  readonly fingerprint: string;
}

const TAG = {
  integer: 0x02,
  bitString: 0x03,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
} as const;
/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = Buffer.from('2a8648ce3d040302', 'hex');
/** 2.5.4.3 */
const COMMON_NAME = Buffer.from('550403', 'hex');
const SERIAL_BYTES = 16;

/** Self-signed: it is known by its fingerprint and by nothing else, so its dates say nothing. */
export function makeIdentity(): TransferIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = makeCertificate(privateKey, publicKey);
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: pem(certificate),
    fingerprint: fingerprintOf(certificate),
  };
}

/** @param certificate DER */
export function fingerprintOf(certificate: Uint8Array): string {
  return `sha256:${createHash('sha256').update(certificate).digest('hex')}`;
}

function makeCertificate(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const algorithm = der(TAG.sequence, der(TAG.objectIdentifier, ECDSA_WITH_SHA256));
  const attribute = der(
    TAG.sequence,
    der(TAG.objectIdentifier, COMMON_NAME),
    der(TAG.utf8String, Buffer.from('diapause transfer')),
  );
  const name = der(TAG.sequence, der(TAG.set, attribute));
  const serial = randomBytes(SERIAL_BYTES);
  // Positive, and without a leading zero byte.
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  const content = der(
    TAG.sequence,
    der(TAG.version, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serial),
    algorithm,
    name,
    der(TAG.sequence, utcTime('700101000000Z'), utcTime('491231235959Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha256', content, privateKey);
  const noUnusedBits = Buffer.from([0]);
  return der(TAG.sequence, content, algorithm, der(TAG.bitString, noUnusedBits, signature));
}

function utcTime(text: string): Buffer {
  return der(TAG.utcTime, Buffer.from(text));
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): readonly number[] {
  if (length < 0x80) {
    return [length];
  }
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
