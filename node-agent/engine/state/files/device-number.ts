// Device numbers as stat(2) gives them, which is what people type and CRIU's images have.

/** @param dev `major << 20 | minor`, the kernel's own form */
export function deviceNumber(dev: number): number {
  const [major, minor] = [dev >>> 20, dev & 0xfffff];
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
