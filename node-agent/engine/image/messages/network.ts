// Network namespaces: netns-NSID.img, netdev-NSID.img.
import {
  bool,
  bytes,
  enumeration,
  i32,
  type Infer,
  message,
  optional,
  repeated,
  required,
  string,
  u32,
} from '../codec.ts';
import { tunLinkEntry } from './tun-bpf.ts';

export const sysctlEntry = message('sysctl_entry', {
  /** SysctlType */
  type: required(1, enumeration),
  iarg: optional(2, i32),
  sarg: optional(3, string),
});
export type SysctlEntry = Infer<typeof sysctlEntry>;

export const netnsId = message('netns_id', {
  targetNsId: required(1, u32),
  netnsidValue: required(2, i32),
});
export type NetnsId = Infer<typeof netnsId>;

export const netnsEntry = message('netns_entry', {
  defConf: repeated(1, i32),
  allConf: repeated(2, i32),
  defConf4: repeated(3, sysctlEntry),
  allConf4: repeated(4, sysctlEntry),
  defConf6: repeated(5, sysctlEntry),
  allConf6: repeated(6, sysctlEntry),
  nsids: repeated(7, netnsId),
  extKey: optional(8, string),
  unixConf: repeated(9, sysctlEntry),
  ipv4Sysctl: repeated(10, sysctlEntry),
});
export type NetnsEntry = Infer<typeof netnsEntry>;

export const macvlanLinkEntry = message('macvlan_link_entry', {
  mode: required(1, u32),
  flags: optional(2, u32),
});
export type MacvlanLinkEntry = Infer<typeof macvlanLinkEntry>;

export const sitEntry = message('sit_entry', {
  link: optional(1, u32),
  local: repeated(2, u32),
  remote: repeated(3, u32),
  ttl: optional(4, u32),
  tos: optional(5, u32),
  pmtudisc: optional(6, bool),
  proto: optional(7, u32),
  flags: optional(8, u32),
  encapType: optional(9, u32),
  encapFlags: optional(10, u32),
  encapSport: optional(11, u32),
  encapDport: optional(12, u32),
  rdPrefixlen: optional(13, u32),
  rdPrefix: repeated(14, u32),
  relayPrefixlen: optional(15, u32),
  relayPrefix: repeated(16, u32),
});
export type SitEntry = Infer<typeof sitEntry>;

export const netDeviceEntry = message('net_device_entry', {
  /** NetDeviceType */
  type: required(1, enumeration),
  ifindex: required(2, u32),
  mtu: required(3, u32),
  flags: required(4, u32),
  name: required(5, string),
  tun: optional(6, tunLinkEntry),
  address: optional(7, bytes),
  conf: repeated(8, i32),
  conf4: repeated(9, sysctlEntry),
  conf6: repeated(10, sysctlEntry),
  macvlan: optional(11, macvlanLinkEntry),
  peerIfindex: optional(12, u32),
  peerNsid: optional(13, u32),
  master: optional(14, u32),
  sit: optional(15, sitEntry),
});
export type NetDeviceEntry = Infer<typeof netDeviceEntry>;
