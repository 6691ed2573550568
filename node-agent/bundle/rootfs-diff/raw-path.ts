// Paths of the container as "latin1" strings, one character a byte: names of files need not be UTF-8.

/** For Node's file functions. */
export const rawPath = (path: string): Buffer => Buffer.from(path, 'latin1');

/** For people. */
export const readable = (path: string): string => rawPath(path).toString('utf8');

export const fromUtf8 = (path: string): string => Buffer.from(path, 'utf8').toString('latin1');

/** The same text in UTF-8, undefined when the bytes are none. */
export function toUtf8(path: string): string | undefined {
  const text = readable(path);
  return fromUtf8(text) === path ? text : undefined;
}

export const join = (folder: string, name: string): string =>
  folder === '' ? name : `${folder}/${name}`;

export const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** A name inside an open directory, for calls that take a path. */
export const inside = (directoryFd: number, name: string): string =>
  `/proc/self/fd/${directoryFd}/${name}`;
