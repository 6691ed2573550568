// Filters and profiles: seccomp.img, apparmor.img.
import {
  bytes,
  type Infer,
  lazy,
  type Message,
  message,
  optional,
  repeated,
  required,
  string,
  u32,
} from '../codec.ts';

export const seccompFilter = message('seccomp_filter', {
  /** struct sock_filter, 8 bytes each */
  filter: required(1, bytes),
  /** index of the next older filter */
  prev: optional(2, u32),
  /** SECCOMP_FILTER_FLAG_* */
  flags: optional(3, u32),
});
export type SeccompFilter = Infer<typeof seccompFilter>;

export const seccompEntry = message('seccomp_entry', {
  seccompFilters: repeated(1, seccompFilter),
});
export type SeccompEntry = Infer<typeof seccompEntry>;

export const aaPolicy = message('aa_policy', {
  name: required(1, string),
  blob: required(2, bytes),
});
export type AaPolicy = Infer<typeof aaPolicy>;

/** An AppArmor namespace. Spelt out because it holds itself. */
export interface AaNamespace {
  readonly name: string;
  readonly policies: readonly AaPolicy[];
  readonly namespaces: readonly AaNamespace[];
}
export const aaNamespace: Message<AaNamespace> = message('aa_namespace', {
  name: required(1, string),
  policies: repeated(2, aaPolicy),
  namespaces: repeated(
    3,
    lazy('aa_namespace', () => aaNamespace),
  ),
});

export const apparmorEntry = message('apparmor_entry', { namespaces: repeated(1, aaNamespace) });
export type ApparmorEntry = Infer<typeof apparmorEntry>;
