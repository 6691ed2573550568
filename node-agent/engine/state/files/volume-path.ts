// Paths below ConfigMap, Secret and projected volumes: the kubelet puts each state of a volume into a directory with a
// time in its name, and a link `..data` beside it.

/** `..2026_01_31_23_59_59.123456789` as one component. */
const VERSION = /\/\.\.\d{4}(?:_\d{2}){5}\.\d+(?=\/|$)/;

/** The path through the link, that every pod has; undefined for any other path. */
export function logicalPath(path: string): string | undefined {
  return VERSION.test(path) ? path.replace(VERSION, '/..data') : undefined;
}

/** The saved path, or the one through the link where the saved one is not there. */
export function pathHere(path: string, exists: (path: string) => boolean): string {
  const logical = logicalPath(path);
  return logical === undefined || exists(path) ? path : logical;
}
