# A cgroup per node in every hierarchy, so that two kubelets do not delete each other's pods as orphans.
# shellcheck shell=bash

hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts | sort -u; }

make_cgroups() { # NODE
  local root group controller
  for root in $(hierarchies); do
    for group in "" "/$cgroup_parent" "/$cgroup_parent/$1"; do
      mkdir -p "$root$group"
      if [ -f "$root$group/cgroup.controllers" ]; then
        for controller in $(cat "$root$group/cgroup.controllers"); do
          echo "+$controller" > "$root$group/cgroup.subtree_control" 2>/dev/null || true
        done
      elif [ -n "$group" ] && [ -f "$root$group/cpuset.cpus" ] && [ -z "$(cat "$root$group/cpuset.cpus")" ]; then
        fill_cpuset "$root" "$root$group"
      fi
    done
  done
}
fill_cpuset() { # ROOT GROUP; v1: a new cpuset is empty, and nothing may run in it, until filled
  cat "$1/cpuset.cpus" > "$2/cpuset.cpus"
  cat "$1/cpuset.mems" > "$2/cpuset.mems"
}

# remove_cgroups [NODE]: from the leaves up; groups of processes that are just ending need another try
remove_cgroups() {
  local root top left
  for _ in $(seq 50); do
    left=
    for root in $(hierarchies); do
      top=$root/$cgroup_parent${1:+/$1}
      [ -d "$top" ] || continue
      find "$top" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ ! -d "$top" ] || left=$top
    done
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  say "cannot remove the cgroup $left: processes are left in it: $(tr '\n' ' ' < "$left/cgroup.procs")"
}
