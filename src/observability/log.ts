// The log: one JSON object a line on stdout.
import { type Logger, pino } from 'pino';

export type { Logger };

/** @param level `trace` to `fatal`, or `silent` */
export function createLog(component: string, level: string): Logger {
  return pino({
    level,
    base: { component },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
