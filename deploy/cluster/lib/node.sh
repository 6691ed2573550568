# A node: one process tree in its own mount, pid, network, uts and ipc namespaces. Pid 1 is this script, its
# children are containerd, kubelet and kube-proxy, and everything sits at its customary path, private to the
# node. Ending pid 1 ends the node with its pods, mounts and links. All other directories are the host's.
# shellcheck shell=bash

private_paths="/run /etc/cni /opt/cni /var/lib/containerd /var/lib/kubelet /var/lib/diapause /var/lib/cni /var/log/pods /var/log/containers"

start_node() { # NODE
  local node=$1 outer pid
  say "$node"
  make_cgroups "$node"
  mkdir -p "$run/$node"
  with_slots make_mount_points
  setsid unshare --mount --propagation slave --pid --fork --kill-child --net --uts --ipc \
    "$self" __node "$node" >> "$logs/$node.log" 2>&1 < /dev/null 7<&- &
  outer=$!
  wait_for 10 "$node" has_child "$outer"
  pid=$(tr -d ' ' < "/proc/$outer/task/$outer/children")
  remember "$node" "$pid"
  connect_node "$node" "$pid"
}
has_child() { grep -q . "/proc/$1/task/$1/children"; }   # of size 0 by stat, whatever it holds

# What the host lacks is noted once for all clusters and removed with the last of them.
make_mount_points() {
  local path
  for path in $private_paths; do
    [ -d "$path" ] || { mkdir -p "$path"; echo "$path" >> "$slots/made-directories"; }
  done
}

in_node() { # NODE CMD..
  local pid
  enter_slot || die "no cluster in $base"
  pid=$(pid_of "$1") || die "$1 is not running"
  shift
  nsenter -t "$pid" -m -p -n -u -i -- "$@"
}

# ---- pid 1 of a node; never returns

node_main() { # NODE
  local node=$1 dir=$run/$1 path
  export PATH=$bin:$PATH HOME=/root
  mount --make-rshared /            # for mountPropagation; what happens here stays here (slave of the host)
  mount -t proc proc /proc
  hostname "$node"
  rm -rf "$dir/run"                 # sockets and pids of a life before
  for path in $private_paths; do
    mkdir -p "$dir$path"
    mount --bind "$dir$path" "$path"
  done
  mkdir -p /etc/cni/net.d /opt/cni/bin
  cp "$bin"/cni/* /opt/cni/bin/
  wait_for 30 "the network of $node" has_network
  echo 1 > /proc/sys/net/ipv4/ip_forward
  path=/proc/sys/net/bridge/bridge-nf-call-iptables   # a pod may reach itself or its neighbour by a service
  if [ -e $path ]; then echo 1 > $path; fi
  write_node_files "$node" "$dir"
  start_node_programs "$node" "$dir"
  while :; do wait || true; done   # bash as pid 1 also reaps orphans; only SIGKILL from outside ends it
}
has_network() { ip -4 addr show eth0 | grep -q inet && ip route | grep -q default; }

start_node_programs() { # NODE DIR
  keep "$1.containerd" containerd --config "$2/containerd.toml"
  wait_for 60 "containerd of $1" ctr version
  import_missing "$1"
  keep "$1.kubelet" kubelet --config "$2/kubelet.yaml" --kubeconfig "$run/$1.kubeconfig" --hostname-override "$1" \
    --node-ip "$(node_ip "$1")" --node-labels "topology.kubernetes.io/zone=zone-$1"
  keep "$1.kube-proxy" kube-proxy --config "$2/kube-proxy.yaml"
}

# keep LOG CMD..: starts it again when it ends, as systemd would
keep() {
  local log=$logs/$1.log
  shift
  while :; do "$@" >> "$log" 2>&1 || true; say "$1 ended"; sleep 1; done &
}
