// JSON documents one a line, out of a byte stream that cuts anywhere: how a watch arrives.

/** An object is at most 1.5 MiB in etcd; as JSON, with managed fields, a few times that. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Yields each line as parsed JSON; empty lines are skipped.
 * @throws Error for a line longer than `maxLineBytes`, SyntaxError for one that is no JSON,
 *   and for a stream that ends within a line
 */
export async function* jsonLines(
  chunks: AsyncIterable<Buffer>,
  maxLineBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<unknown, void> {
  let parts: Buffer[] = [];
  let partBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      checkLength(partBytes + end - start, maxLineBytes);
      parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      partBytes = 0;
      start = end + 1;
      if (line.trim() !== '') {
        yield JSON.parse(line) as unknown;
      }
    }
    parts.push(chunk.subarray(start));
    partBytes += chunk.length - start;
    checkLength(partBytes, maxLineBytes);
  }
  const rest = Buffer.concat(parts).toString('utf8').trim();
  if (rest !== '') {
    throw new SyntaxError(`the stream ended within a line: ${rest.slice(0, 80)}`);
  }
}

function checkLength(sizeBytes: number, maxLineBytes: number): void {
  if (sizeBytes > maxLineBytes) {
    throw new Error(`a line is longer than ${maxLineBytes} bytes`);
  }
}
