# What cluster.sh can be told to do.
# shellcheck shell=bash

own_mark=.diapause-cluster
host_processes="switch $control_plane volume-keeper"

command_up() {
  need_root
  need_run_packages
  build
  if enter_slot && [ -f "$run/booted" ] && host_runs; then revive_nodes; else boot; fi
}
host_runs() {
  local process
  for process in $host_processes; do
    runs "$process" || { say "$process has ended (its log is in $logs): starting afresh"; return 1; }
  done
}
revive_nodes() {
  local node
  for node in $nodes; do runs "$node" || start_node "$node"; done
  wait_for_nodes
  say "the cluster is up: kubectl --kubeconfig $kubeconfig get nodes"
}
# shellcheck disable=SC2046,SC2086
wait_for_nodes() { wait_for 120 "nodes" kubectl wait --for condition=Ready $(printf 'node/%s ' $nodes) --timeout 1s; }

boot() {
  local began=$SECONDS
  command_down
  with_slots claim_slot
  enter_slot || die "no slot"
  [ ! -e "$run" ] || die "$run exists and is not a cluster's: choose another CLUSTER_DIR"
  mkdir -p "$run/pids" "$logs" "$images" "$base/bin"
  touch "$base/$own_mark"
  ln -sfn "$bin/kubectl" "$base/bin/kubectl"
  make_pki
  mkdir -p "$run/pause"
  cp "$bin/pause" "$run/pause/"
  make_image local/pause:1 "$run/pause" "$images/pause.tar" /pause
  start_network
  start_control_plane
  local node
  for node in $nodes; do start_node "$node"; done
  make_volumes
  wait_for_nodes
  start_dns
  wait_for 60 "default service account" kubectl get serviceaccount default
  wait_for 90 "name service" kubectl -n kube-system rollout status deployment/coredns --timeout 1s
  touch "$run/booted"
  say "ready after $((SECONDS - began)) s: kubectl --kubeconfig $kubeconfig get nodes"
}

# Safe to run twice, and after anything that went wrong half-way.
command_down() {
  need_root
  local process
  if ! enter_slot; then remove_files; return; fi
  say "removing the cluster in $base"
  for process in $nodes; do stop "$process" KILL; done
  stop volume-keeper KILL group
  for process in kube-scheduler kube-controller-manager kube-apiserver etcd; do stop $process TERM; done
  stop_network
  remove_cgroups
  remove_files
  with_slots release_slot
}
# Only what is ours: CLUSTER_DIR may have been set to any directory.
remove_files() {
  [ -f "$base/$own_mark" ] || return 0
  if grep -q " $run/" /proc/self/mountinfo; then die "something is mounted below $run: unmount it first"; fi
  rm -rf "${base:?}/run" "${base:?}/bin" "$kubeconfig" "${base:?}/$own_mark"
  rmdir "$base" 2>/dev/null || true
}

command_status() {
  local process
  enter_slot || { say "no cluster in $base"; return 1; }
  for process in $host_processes $nodes; do
    printf '%-24s %s\n' "$process" "$(pid_of "$process" || echo down)"
  done
  ! runs kube-apiserver || kubectl get nodes -o wide
}

command_build() { build; }

command_deploy() { need_root; need_cluster; deploy_operator; }

command_env() { echo "export KUBECONFIG=$kubeconfig PATH=$base/bin:\$PATH"; }

command_image() { # NAME ROOTFS [CMD..]
  local file
  need_cluster
  file=$run/$(tr '/:' '__' <<< "$1").tar
  make_image "$1" "$2" "$file" "${@:3}"
  command_load "$file"
  rm -f "$file"
}

command_load() { # FILE..
  local file
  need_cluster
  [ $# -gt 0 ] || die "which archive?"
  for file in "$@"; do
    if load_image "$file"; then say "loaded $file"; else say "$file is loaded already"; fi
  done
}

command_crash() { # NODE
  need_cluster
  node_number "$1" > /dev/null
  stop "$1" KILL
  remove_cgroups "$1"
}

command_start() { # NODE
  need_cluster
  node_number "$1" > /dev/null
  ! runs "$1" || die "$1 is running"
  start_node "$1"
}

command_cut() { # NODE
  need_cluster
  node_number "$1" > /dev/null
  nsenter -t "$(pid_of switch)" -n ip link set "$1" down
}

command_heal() { # NODE
  need_cluster
  node_number "$1" > /dev/null
  nsenter -t "$(pid_of switch)" -n ip link set "$1" up
}

command_restart_apiserver() {
  need_cluster
  stop kube-apiserver KILL
  start_apiserver
  wait_for 60 "kube-apiserver" kubectl get --raw /readyz
}

need_cluster() {
  if ! enter_slot || [ ! -d "$run" ]; then die "no cluster in $base: run 'make cluster-up'"; fi
}
