// The adoption policy speaks of the same names and fields as the controller. What it does is tried on the real cluster.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { API_VERSION } from '../../crds/meta.ts';
import { ADOPTION_POLICY, LABELS } from '../../crds/names.ts';
import type { Adoption } from '../../crds/restore.ts';

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly policyName?: string;
    readonly paramKind?: { readonly apiVersion: string; readonly kind: string };
    readonly paramRef?: {
      readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    };
    readonly reinvocationPolicy?: string;
  };
}

const text = readFileSync(new URL('adoption.yaml', import.meta.url), 'utf8');
const [policy, binding] = parseAllDocuments(text).map((document) => document.toJS() as Policy);

/** Whatever the type has; `inForce` is for the controller alone. */
const FIELDS: Readonly<Record<keyof Omit<Adoption, 'inForce'>, true>> = {
  ownerUID: true,
  podName: true,
  selector: true,
  labels: true,
  annotations: true,
  spec: true,
};

it('looks at Restores that say so, and at nothing else', () => {
  assert.equal(policy?.kind, 'MutatingAdmissionPolicy');
  assert.equal(binding?.kind, 'MutatingAdmissionPolicyBinding');
  const names = [policy.metadata.name, binding.metadata.name, binding.spec.policyName];
  assert.deepEqual(names, [ADOPTION_POLICY, ADOPTION_POLICY, ADOPTION_POLICY]);
  assert.deepEqual(policy.spec.paramKind, { apiVersion: API_VERSION, kind: 'Restore' });
  assert.deepEqual(binding.spec.paramRef?.selector.matchLabels, { [LABELS.waiting]: 'true' });
});

it('uses every field of an adoption, and takes no replica twice', () => {
  const used = new Set(
    [...text.matchAll(/params\.status\.adoption\.(\w+)/g)].map(([, name]) => name),
  );
  assert.deepEqual(used, new Set(Object.keys(FIELDS)));
  assert.ok(text.includes(`!object.metadata.?labels[?"${LABELS.restoreUid}"].hasValue()`));
  assert.equal(policy?.spec.reinvocationPolicy, 'Never');
});
