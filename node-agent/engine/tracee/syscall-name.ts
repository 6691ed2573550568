// Names of system call numbers, for errors.
import { SYS } from '../arch/x86-64.ts';

const names = new Map<number, string>(Object.entries(SYS).map(([name, nr]) => [nr, name]));

export const syscallName = (nr: number): string => names.get(nr) ?? `system call ${nr}`;
