// Volumes that something is wrong with: a small file system inside one node, offered as a claim with a store.
import { ANNOTATIONS } from '../../../crds/names.ts';
import { API_VERSION } from '../../../crds/meta.ts';
import { toYaml } from '../../../deploy/demo/manifests.ts';
import { clusterScript, type NodeName } from './cluster.ts';
import type { Scene } from './scene.ts';

export interface SpecialVolumeOptions {
  /** also the name of its claim and its store */
  readonly name: string;
  readonly nodeName: NodeName;
  readonly sizeMebibytes: number;
  /** mounted so on the node; Kubernetes does not know */
  readonly readOnly?: boolean;
  readonly accessMode?: 'ReadWriteMany' | 'ReadOnlyMany';
}

export class SpecialVolume implements AsyncDisposable {
  readonly #scene: Scene;
  readonly #options: SpecialVolumeOptions;
  readonly #path: string;

  private constructor(scene: Scene, options: SpecialVolumeOptions) {
    this.#scene = scene;
    this.#options = options;
    this.#path = `/run/${scene.namespace}-${options.name}`;
  }

  static async create(scene: Scene, options: SpecialVolumeOptions): Promise<SpecialVolume> {
    const volume = new SpecialVolume(scene, options);
    await volume.#mount();
    await scene.kubectl.apply(toYaml(...volume.#objects()));
    return volume;
  }

  /** Names in its root, as the node sees them. */
  async list(): Promise<readonly string[]> {
    const text = await clusterScript(
      'exec',
      this.#options.nodeName,
      'find',
      this.#path,
      '-type',
      'f',
    );
    return text.split('\n').filter(Boolean);
  }

  /** The claim goes with the scene; its volume and the file system do not. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { nodeName } = this.#options;
    await this.#scene.kubectl.run(['delete', 'pv', this.#volumeName, '--wait=false']);
    await clusterScript('exec', nodeName, 'umount', '--lazy', this.#path);
    await clusterScript('exec', nodeName, 'rmdir', this.#path);
  }

  get #volumeName(): string {
    return `${this.#scene.namespace}-${this.#options.name}`;
  }

  async #mount(): Promise<void> {
    const { nodeName, sizeMebibytes, readOnly = false } = this.#options;
    const size = `size=${sizeMebibytes}m,mode=1777${readOnly ? ',ro' : ''}`;
    await clusterScript('exec', nodeName, 'mkdir', '-p', this.#path);
    await clusterScript('exec', nodeName, 'mount', '-t', 'tmpfs', '-o', size, 'e2e', this.#path);
  }

  #objects(): readonly object[] {
    const { name, accessMode = 'ReadWriteMany' } = this.#options;
    const spec = { accessModes: [accessMode], storageClassName: 'none' };
    const storage = { storage: '1Gi' };
    return [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: this.#volumeName },
        spec: {
          ...spec,
          capacity: storage,
          persistentVolumeReclaimPolicy: 'Retain',
          hostPath: { path: this.#path, type: 'Directory' },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name },
        spec: { ...spec, volumeName: this.#volumeName, resources: { requests: storage } },
      },
      {
        apiVersion: API_VERSION,
        kind: 'CheckpointStore',
        metadata: { name, annotations: { [ANNOTATIONS.isDefaultStore]: 'false' } },
        spec: { persistentVolumeClaim: { claimName: name } },
      },
    ];
  }
}
