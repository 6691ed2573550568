// Images in both directions: ours restored by CRIU, CRIU's restored by us; every one of ours decoded by crit.
// CRIU_DIR names a built source tree of CRIU 4.2 (`make` in it), or CRIU the program in one; without it they are skipped.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, test } from 'node:test';
import { type Case, CASES, FORGIVE_CRIU, throughImages } from '../victims/cases.ts';
import {
  builtCriu,
  type CriuProgram,
  criuTree,
  diapause,
  dumpWith,
  mustSucceed,
  restoreWith,
} from '../victims/criu-command.ts';
import { tasksOf } from '../victims/health.ts';
import { enterPrivateNamespaces } from '../victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../victims/victim.ts';

const criu = builtCriu();
const missing = criu ? false : 'no CRIU: say CRIU_DIR=a source tree of CRIU 4.2, built';
if (criu) enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-interop-'));
after(() => rmSync(base, { recursive: true, force: true }));

interface Direction {
  readonly dumper: CriuProgram;
  readonly restorer: CriuProgram;
}

async function carry(one: Case, { dumper, restorer }: Direction): Promise<void> {
  using victim = await startVictim(buildVictim(one.program), one.args);
  const imagesDir = mkdtempSync(join(base, 'images-'));
  const before = (await one.ask?.(victim)) ?? [];
  using restored = await throughImages(
    victim,
    async () => mustSucceed('dump', await dumpWith(dumper, { pid: victim.pid, imagesDir })),
    () => one.meanwhile?.(victim),
    async () => mustSucceed('restore', await restoreWith(restorer, imagesDir)),
  );
  await one.verify(restored, before, FORGIVE_CRIU);
}

describe('our images restored by CRIU', { skip: missing }, () => {
  for (const one of CASES) {
    const skip = one.notByCriu ?? false;
    test(one.name, { skip }, () => carry(one, { dumper: diapause, restorer: criu! }));
  }
});

describe("CRIU's images restored by us", { skip: missing }, () => {
  for (const one of CASES) {
    // A test for what the dump leaves behind, not for the images.
    const marked = 'CRIU marks locks in shared files as abandoned (issue #3095)';
    const skip = one.notByCriu ?? (one.program === 'robust' && marked);
    test(one.name, { skip }, () => carry(one, { dumper: criu!, restorer: diapause }));
  }
});

/** crit with the Python that has protobuf: Debian's python3-protobuf is for its own. */
function crit(...args: string[]): string {
  const dir = criuTree() ?? '';
  const path = [join(dir, 'lib'), join(dir, 'crit')].join(':');
  return execFileSync('/usr/bin/python3', ['-m', 'crit', ...args], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: path },
    maxBuffer: 64 << 20,
  });
}

describe('crit reads our images', { skip: missing }, () => {
  for (const one of CASES) {
    test(one.name, async () => {
      using victim = await startVictim(buildVictim(one.program), one.args);
      const imagesDir = mkdtempSync(join(base, 'images-'));
      const { pid } = victim;
      mustSucceed('dump', await dumpWith(diapause, { pid, imagesDir, leaveRunning: true }));
      const images = readdirSync(imagesDir).filter((name) => /\.img$|^stats-/.test(name));
      for (const name of images.filter((image) => !image.startsWith('pages-'))) {
        const decoded = JSON.parse(crit('decode', '-i', join(imagesDir, name))) as {
          entries: unknown[];
        };
        assert.ok(Array.isArray(decoded.entries), name);
      }
      for (const what of ['ps', 'mems', 'fds']) {
        // crit cannot show descriptors beside a zombie, which has none: not with CRIU's own images either.
        if (what !== 'ps' && tasksOf(pid).some(({ state }) => state === 'Z')) continue;
        assert.match(crit('x', imagesDir, what), new RegExp(`\\b${pid}\\b`), `crit x ${what}`);
      }
      assert.ok(images.some((name) => name === `core-${pid}.img`));
    });
  }
});
