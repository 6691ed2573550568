import assert from 'node:assert/strict';
import { it } from 'node:test';
import { jsonLines } from './json-lines.ts';

async function parse(chunks: readonly Buffer[], maxLineBytes?: number): Promise<unknown[]> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks;
    await Promise.resolve();
  }
  const parsed: unknown[] = [];
  for await (const value of jsonLines(source(), maxLineBytes)) {
    parsed.push(value);
  }
  return parsed;
}

const TEXT = '{"a":1}\n\n{"b":"ä→😀"}\r\n[3]\n';

it('does not care where the stream is cut, even within a character', async () => {
  const bytes = Buffer.from(TEXT);
  for (let size = 1; size <= bytes.length; size++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      chunks.push(bytes.subarray(at, at + size));
    }
    assert.deepEqual(await parse(chunks), [{ a: 1 }, { b: 'ä→😀' }, [3]], `pieces of ${size}`);
  }
});

it('limits a line, complete or not', async () => {
  assert.deepEqual(await parse([Buffer.from('"12345678"\n"12345678"\n')], 10), [
    '12345678',
    '12345678',
  ]);
  await assert.rejects(parse([Buffer.from('"123456789"\n')], 10), /longer than 10 bytes/);
  await assert.rejects(parse([Buffer.from('"12345'), Buffer.from('67890')], 10), /longer than/);
});

it('refuses nonsense and half lines', async () => {
  await assert.rejects(parse([Buffer.from('{"a":}\n')]), SyntaxError);
  await assert.rejects(parse([Buffer.from('1\n{"a":1}')]), SyntaxError);
  assert.deepEqual(await parse([]), []);
});
