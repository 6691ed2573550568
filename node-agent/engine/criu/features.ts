// `criu check --feature NAME`: what this engine and this kernel can do. An unknown name is a no.
import { canWatchWrites } from '../linux/userfaultfd.ts';

/** Features of criu(8) that the engine relies on or offers; the rest is not there yet. */
const OFFERED: ReadonlySet<string> = new Set([
  'timerfd',
  'kcmp_epoll',
  'aio_remap',
  'shmem_memfd',
  'move_mount_set_group',
  'clone3_set_tid',
  'pidfd_getfd',
  'rseq_config',
  'get_rseq_conf',
  'membarrier_get_registrations',
  'timer_cr_ids',
  'fdinfo_lock',
  'ipv6_freebind',
  'sockopt_buf_lock',
  'tcp_half_closed',
  'net_diag_raw',
  'network_lock_nftables',
  'network_lock_iptables',
  'has_ipt_legacy',
  'pagemap_scan',
  'breakpoints',
  'seccomp_filters',
  'seccomp_suspend',
  'loginuid',
  'memfd_hugetlb',
  'timens',
]);

/** What depends on the kernel. */
const isOfferedBy = (name: string): boolean => name === 'mem_dirty_track' && canWatchWrites();

/** 0 when every named feature is there, 1 otherwise; without names the question is only whether we run. */
export function checkFeatures(names: readonly string[]): number {
  return names.every((name) => OFFERED.has(name) || isOfferedBy(name)) ? 0 : 1;
}
