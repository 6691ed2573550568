// Which descriptors the caller has left open for us: by the time that this runs, Node has opened some of its own.

/** As bin/criu has noted them; undefined when this was started in another way. */
export function openDescriptors(): ReadonlySet<number> | undefined {
  const noted = process.env['CRIU_OPEN_DESCRIPTORS'];
  return noted === undefined ? undefined : new Set(noted.split(' ').filter(Boolean).map(Number));
}
