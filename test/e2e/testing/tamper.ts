// What may happen to a bundle on its volume while nobody looks.
import { readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Changes one bit in the middle of a file of the bundle. */
export function flipBit(bundle: string, file: string): void {
  const path = join(bundle, file);
  const content = readFileSync(path);
  const at = Math.floor(statSync(path).size / 2);
  content.writeUInt8(content.readUInt8(at) ^ 0x10, at);
  writeFileSync(path, content);
}

/** Takes the last byte of a file away. */
export function shorten(bundle: string, file: string): void {
  const path = join(bundle, file);
  writeFileSync(path, readFileSync(path).subarray(0, -1));
}

/** Moves the bundle elsewhere on the volume and leaves a link. */
export function replaceByLink(bundle: string): void {
  const elsewhere = join(bundle, '../..', 'elsewhere');
  renameSync(bundle, elsewhere);
  symlinkSync('../elsewhere', bundle);
}
