// /proc/PID/mountinfo: which file system is mounted where; proc_pid_mountinfo(5).
import { readProc } from './read.ts';

export interface Mount {
  readonly id: number;
  /** `major << 20 | minor`, the kernel's own form */
  readonly dev: number;
  readonly point: string;
}

/** Blanks, tabs, newlines and backslashes of a path are written as octal numbers. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );

export function parseMounts(text: string): Mount[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [id, , device, , point] = line.split(' ');
      const [major, minor] = (device ?? '').split(':').map(Number);
      const dev = (((major ?? 0) << 20) | (minor ?? 0)) >>> 0;
      return { id: Number(id), dev, point: unescaped(point ?? '/') };
    });
}

export const readMounts = (pid: number): Mount[] => parseMounts(readProc(`/proc/${pid}/mountinfo`));
