// The size that the user allows.

/** The dump would be larger than the user allows. */
export class SizeLimitError extends Error {
  readonly limitBytes: number;
  constructor(limitBytes: number) {
    super(`the pages exceed ${limitBytes} bytes; raise limits.maxBytes`);
    this.name = 'SizeLimitError';
    this.limitBytes = limitBytes;
  }
}
