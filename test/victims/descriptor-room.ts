// How many descriptors a process can have before its table grows.
import { readFileSync } from 'node:fs';

export function descriptorRoom(pid: number | 'self'): number {
  const size = /^FDSize:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  if (!size) throw new Error(`process ${pid} tells no FDSize`);
  return Number(size[1]);
}
