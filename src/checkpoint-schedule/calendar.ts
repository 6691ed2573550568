// Hours, days and weeks of a time zone, as names that are equal within one of them (pure).

export type BucketSize = 'hour' | 'day' | 'week';

export const BUCKETS = [
  { rule: 'keepHourly', size: 'hour' },
  { rule: 'keepDaily', size: 'day' },
  { rule: 'keepWeekly', size: 'week' },
] as const satisfies readonly { readonly rule: string; readonly size: BucketSize }[];

const DAY_MILLIS = 86_400_000;
/** 1 January 1970 was a Thursday: three days after a Monday. */
const DAYS_TO_MONDAY = 3;

/**
 * Names the hour, day or week of a time. An hour that comes twice, when clocks are put back, is two hours; a day is
 * what the calendar says, however long.
 */
export class Calendar {
  readonly #format: Intl.DateTimeFormat;

  /** @param timeZone IANA name */
  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    });
  }

  bucketOf(millis: number, size: BucketSize): string {
    const parts = Object.fromEntries(
      this.#format.formatToParts(millis).map(({ type, value }) => [type, value]),
    );
    const date = `${parts['year']}-${parts['month']}-${parts['day']}`;
    switch (size) {
      case 'hour':
        return `${date}T${parts['hour']} ${parts['timeZoneName']}`;
      case 'day':
        return date;
      case 'week':
        return String(Math.floor((Date.parse(date) / DAY_MILLIS + DAYS_TO_MONDAY) / 7));
    }
  }
}
