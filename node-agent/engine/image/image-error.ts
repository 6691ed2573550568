// What is wrong with an image, as facts: the one error of this folder.

export interface ImageErrorFacts {
  /** file name inside the images directory, `core-7.img` */
  readonly file: string;
  /** index of the record in the file, from 0; absent where the file as a whole is meant */
  readonly record?: number | undefined;
  /** path of the field below the message, `threadCore.creds.uid` */
  readonly field?: string | undefined;
  /** byte offset in the file */
  readonly offset?: number | undefined;
  /** what is wrong, as the end of a sentence about that place */
  readonly reason: string;
}

/** An image that cannot be read or a value that cannot be written; the sentence is derived from the facts. */
export class ImageError extends Error {
  readonly file: string;
  readonly record: number | undefined;
  readonly field: string | undefined;
  readonly offset: number | undefined;
  readonly reason: string;

  constructor(facts: ImageErrorFacts, options?: ErrorOptions) {
    const place = [
      facts.file,
      facts.record === undefined ? '' : `record ${facts.record}`,
      facts.field === undefined || facts.field === '' ? '' : `field ${facts.field}`,
      facts.offset === undefined ? '' : `offset ${facts.offset}`,
    ];
    super(`${place.filter((part) => part !== '').join(', ')}: ${facts.reason}`, options);
    this.name = 'ImageError';
    this.file = facts.file;
    this.record = facts.record;
    this.field = facts.field;
    this.offset = facts.offset;
    this.reason = facts.reason;
  }
}

/** Where a message is being read or written, for {@link ImageError}. */
export interface Where {
  readonly file: string;
  readonly record?: number;
}

/** A fault inside a message, before its file is known; never leaves this folder. */
export class FieldFault extends Error {
  readonly path: readonly string[];

  constructor(reason: string, path: readonly string[], options?: ErrorOptions) {
    super(reason, options);
    this.name = 'FieldFault';
    this.path = path;
  }

  /** The same fault seen from the message around it. */
  within(field: string): FieldFault {
    return new FieldFault(this.message, [field, ...this.path], { cause: this.cause });
  }

  at(where: Where): ImageError {
    const field = this.path.join('.');
    return new ImageError({ ...where, field, reason: this.message }, { cause: this.cause });
  }
}

/** Any error met while one field was handled, as a fault with the field's path. */
export function faultIn(field: string | undefined, error: unknown): FieldFault {
  const fault =
    error instanceof FieldFault
      ? error
      : new FieldFault(error instanceof Error ? error.message : String(error), [], {
          cause: error,
        });
  return field === undefined ? fault : fault.within(field);
}
