// Builds the native code and writes it as TypeScript: `node shim/generate.ts`. The result is committed.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const LINE_BYTES = 60;

/** What the Makefile leaves behind, read back. */
export interface BuiltShim {
  readonly compilerMajor: number;
  readonly interpreter: Buffer;
  /** name of a public symbol -> offset into `interpreter`, bytes */
  readonly symbols: ReadonlyMap<string, number>;
  readonly init: Buffer;
  readonly pages: Buffer;
  /** protocol.h and pages/plan.h: a number, or field -> offset with `size` for the whole structure, bytes */
  readonly layout: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
}

/** Major version of the C compiler in use: other majors may give other bytes for the same source. */
export function compilerMajor(): number {
  const answer = run('cc', ['-dumpversion']);
  return Number.parseInt(answer, 10);
}

/**
 * Runs the Makefile.
 *
 * @param outputDir absolute path; created if need be
 * @throws if the compiler, or the check for relocations and writable sections, complains
 */
export function build(outputDir: string): BuiltShim {
  run('make', ['--no-print-directory', '-C', folder, `BUILD=${outputDir}`, 'CC=cc', 'all']);
  return {
    compilerMajor: compilerMajor(),
    interpreter: readFileSync(join(outputDir, 'interpreter.bin')),
    symbols: readSymbols(join(outputDir, 'interpreter.elf')),
    init: readFileSync(join(outputDir, 'diapause-init')),
    pages: readFileSync(join(outputDir, 'diapause-pages')),
    layout: JSON.parse(readFileSync(join(outputDir, 'layout.json'), 'utf8')) as BuiltShim['layout'],
  };
}

/** The text of shim.generated.ts: the same text for the same build. */
export function render(shim: BuiltShim): string {
  const constants = Object.entries(shim.layout).map(([name, value]) =>
    typeof value === 'number' ? `export const ${name} = ${value};\n` : renderStructure(name, value),
  );
  return `// Native code and the layouts it shares with the engine. Made by shim/generate.ts from shim/*.c, shim/pages/*.c,
// shim/protocol.h and shim/pages/plan.h, which say what each number means: edit those, then run \`node shim/generate.ts\`.

/** Major version of the gcc that made the bytes; another one may give other bytes. */
export const compilerMajor = ${shim.compilerMajor};

/** Position-independent code. The numbers are offsets into it, bytes. */
export const interpreter = {
  entry: ${offsetOf(shim, '_start')},
  rawSyscall: ${offsetOf(shim, 'raw_syscall')},
  runBatch: ${offsetOf(shim, 'run_batch')},
  spawn: ${offsetOf(shim, 'spawn')},
  bytesBase64:
${renderBytes(shim.interpreter)},
} as const;

/** A static executable for every x86-64 Linux: PID 1 of placeholder and volume-holder pods. */
export const init = {
  bytesBase64:
${renderBytes(shim.init)},
} as const;

/** The same kind of program: brings the pages that restored processes miss. */
export const pages = {
  bytesBase64:
${renderBytes(shim.pages)},
} as const;

// protocol.h and pages/plan.h. \`*_SIZE\` and offsets are bytes.
${constants.join('')}`;
}

function renderStructure(name: string, { size, ...offsets }: Readonly<Record<string, number>>) {
  const fields = Object.entries(offsets).map(([field, offset]) => `  ${field}: ${offset},\n`);
  return `export const ${name}_SIZE = ${size};\nexport const ${name} = {\n${fields.join('')}} as const;\n`;
}

function renderBytes(bytes: Buffer): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    lines.push(`    '${bytes.toString('base64', at, at + LINE_BYTES)}'`);
  }
  return lines.join(' +\n');
}

function readSymbols(elf: string): ReadonlyMap<string, number> {
  const lines = run('nm', ['--extern-only', '--defined-only', elf]).trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [address = '', , name = ''] = line.split(' ');
      return [name, Number.parseInt(address, 16)] as const;
    }),
  );
}

function offsetOf({ symbols }: BuiltShim, name: string): number {
  const offset = symbols.get(name);
  if (offset === undefined) {
    throw new Error(`interpreter.elf has no symbol ${name}: look at shim/interpreter.lds`);
  }
  return offset;
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
}

if (import.meta.main) {
  const shim = build(join(folder, '..', 'build', 'shim'));
  writeFileSync(join(folder, 'shim.generated.ts'), render(shim));
  process.stdout.write(
    `shim.generated.ts: interpreter ${shim.interpreter.length} bytes, init ${shim.init.length} bytes, pages ${shim.pages.length} bytes\n`,
  );
}
