// A whole image as one file: an OCI image layout (what ctr, kind, k3d and minikube import) that `docker load`
// reads as well, because it also holds docker's manifest.json.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { Layer } from './layer.ts';

/** The part of the OCI image configuration that images here set (image-spec, config.md). */
export interface RunConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly StopSignal?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

const EPOCH = new Date(0);
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';

interface Blob {
  readonly digest: string;
  readonly json: string;
}

function jsonBlob(value: unknown): Blob {
  const json = JSON.stringify(value);
  return { digest: createHash('sha256').update(json).digest('hex'), json };
}

function descriptor(mediaType: string, digest: string, size: number): object {
  return { mediaType, digest: `sha256:${digest}`, size };
}

/** A reference as containerd stores it: `demo/redis:dev` is `docker.io/demo/redis:dev`. */
export function fullReference(reference: string): string {
  const host = reference.split('/')[0] ?? '';
  return /[.:]/.test(host) && reference.includes('/') ? reference : `docker.io/${reference}`;
}

/** Writes the image to `file`, complete or not at all. */
export async function writeArchive(
  file: string,
  reference: string,
  layers: readonly Layer[],
  config: RunConfig,
  architecture: string,
): Promise<void> {
  const configBlob = jsonBlob({
    architecture,
    os: 'linux',
    created: EPOCH.toISOString(),
    config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${layer.sha256}`) },
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor(CONFIG_TYPE, configBlob.digest, Buffer.byteLength(configBlob.json)),
    layers: layers.map((layer) => descriptor(LAYER_TYPE, layer.sha256, layer.sizeBytes)),
  });
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor(MANIFEST_TYPE, manifest.digest, Buffer.byteLength(manifest.json)),
        platform: { os: 'linux', architecture },
        annotations: {
          'io.containerd.image.name': fullReference(reference),
          'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
        },
      },
    ],
  };
  const docker = [
    {
      Config: blobPath(configBlob.digest),
      RepoTags: [reference],
      Layers: layers.map((layer) => blobPath(layer.sha256)),
    },
  ];
  const texts: readonly (readonly [string, string])[] = [
    ['oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })],
    ['index.json', JSON.stringify(index)],
    ['manifest.json', JSON.stringify(docker)],
    [blobPath(configBlob.digest), configBlob.json],
    [blobPath(manifest.digest), manifest.json],
  ];
  await mkdir(dirname(file), { recursive: true });
  const archive = pack();
  const written = pipeline(archive, createWriteStream(`${file}.new`));
  for (const [name, text] of texts) {
    archive.entry({ name, mode: 0o644, mtime: EPOCH }, text);
  }
  for (const layer of layers) {
    await addLayer(archive, layer);
  }
  archive.finalize();
  await written;
  await rename(`${file}.new`, file);
}

function blobPath(digest: string): string {
  return `blobs/sha256/${digest}`;
}

async function addLayer(archive: Pack, layer: Layer): Promise<void> {
  const header = {
    name: blobPath(layer.sha256),
    mode: 0o644,
    mtime: EPOCH,
    size: layer.sizeBytes,
  };
  await pipeline(createReadStream(layer.file), archive.entry(header));
}
