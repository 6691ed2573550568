# What the machine must have: checked before anything starts, installed where apt can, named where not.
# shellcheck shell=bash

# COMMAND PACKAGE, and what it is for
needed_commands="
nft nftables kube-proxy
iptables iptables kubelet
conntrack conntrack kube-proxy
openssl openssl certificates
ip iproute2 network
unshare util-linux namespaces
nsenter util-linux namespaces
flock util-linux slots"
needed_to_build="
gcc gcc runc
pkg-config pkg-config runc"

missing_packages() { # LIST
  local command package _
  while read -r command package _; do
    [ -z "$command" ] || command -v "$command" > /dev/null || echo "$package"
  done <<< "$1" | sort -u
}

install_packages() { # PACKAGE..
  [ $# -gt 0 ] || return 0
  command -v apt-get > /dev/null || die "please install first: $*"
  say "installing $*"
  apt-get update -qq || say "apt-get update failed; trying with the package lists that are here"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null ||
    die "apt-get could not install: $*; install them by hand and run this again"
}

need_run_packages() {
  # shellcheck disable=SC2046
  install_packages $(missing_packages "$needed_commands")
  awk '$3 ~ /^cgroup2?$/ { found = 1 } END { exit !found }' /proc/mounts || die "no cgroup file system is mounted below /sys/fs/cgroup"
}

need_build_packages() {
  local packages
  packages=$(missing_packages "$needed_to_build")
  [ -f /usr/include/stdio.h ] || packages+=" libc6-dev"
  pkg-config --exists libseccomp 2>/dev/null || packages+=" libseccomp-dev"
  # shellcheck disable=SC2086
  install_packages $packages
  command -v go > /dev/null || die "please install Go $go_minimum or newer: the cluster's programs are compiled from Go modules"
  printf '%s\n' "$go_minimum" "$(go env GOVERSION | sed 's/^go//')" | sort -V -C ||
    die "Go $go_minimum or newer is needed, this is $(go env GOVERSION)"
}
