// When an image can be pinned by digest.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pinnedImage } from './container.ts';

describe('pinnedImage', () => {
  const digest = `sha256:${'0a'.repeat(32)}`;
  for (const [image, imageID, pinned] of [
    ['redis:8', `docker.io/library/redis@${digest}`, `docker.io/library/redis@${digest}`],
    ['team/app', `docker.io/team/app@${digest}`, `docker.io/team/app@${digest}`],
    ['reg.example:5000/app:1', `reg.example:5000/app@${digest}`, `reg.example:5000/app@${digest}`],
    ['redis:8', `docker-pullable://redis@${digest}`, `redis@${digest}`],
    ['redis:8', digest, undefined],
    ['redis:8', `import-2026-11-24@${digest}`, undefined],
    ['redis:8', '', undefined],
    [undefined, `docker.io/library/redis@${digest}`, undefined],
  ] as const) {
    it(`${image} as ${imageID}`, () => assert.equal(pinnedImage(image, imageID), pinned));
  }
});
