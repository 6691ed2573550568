# Which of the machine's clusters this is. A slot is a number; addresses, ports, links and cgroups
# follow from it, so that clusters of several checkouts do not meet. Slots of all users of this
# machine are files below one directory, each holding the CLUSTER_DIR it belongs to.
# shellcheck shell=bash disable=SC2034

slots=/run/diapause-clusters
last_slot=15

# with_slots CMD..: runs it while no other checkout changes the slots
with_slots() {
  local fd status=0
  for _ in $(seq 100); do
    mkdir -p "$slots"
    exec {fd}> "$slots/lock"
    flock -w 60 "$fd" || die "another cluster.sh holds $slots/lock"
    if [ "$slots/lock" -ef "/dev/fd/$fd" ]; then break; fi   # else the last cluster left in between
    exec {fd}>&-
  done
  ("$@") || status=$?
  exec {fd}>&-
  return $status
}

# The slot of this CLUSTER_DIR, if it has one.
own_slot() {
  local file
  for file in "$slots"/slot-*; do
    [ -f "$file" ] && [ "$(cat "$file")" = "$base" ] && { echo "${file##*-}"; return; }
  done
  return 1
}

# Free: no cluster's, and nobody else on this machine uses its addresses or names.
slot_is_free() { # NUMBER
  [ ! -e "$slots/slot-$1" ] && [ -z "$(ip -4 route show root "10.$((200 + $1)).0.0/16" 2>/dev/null)" ] &&
    [ ! -e "/sys/class/net/dia$1" ]
}

# A cluster whose directory was removed by hand and of which nothing runs any more.
slot_is_stale() { # NUMBER
  [ ! -e "$(cat "$slots/slot-$1")/run" ] && [ ! -e "/sys/class/net/dia$1" ]
}

claim_slot() {
  local n
  own_slot > /dev/null && return
  for n in $(seq 0 $last_slot); do
    if [ -e "$slots/slot-$n" ] && slot_is_stale "$n"; then rm "$slots/slot-$n"; fi
    slot_is_free "$n" && { echo "$base" > "$slots/slot-$n"; return; }
  done
  die "all $((last_slot + 1)) slots in $slots are taken: end a cluster with 'make cluster-down' in its checkout"
}

release_slot() {
  local n path
  n=$(own_slot) && rm -f "$slots/slot-$n"
  compgen -G "$slots/slot-*" > /dev/null && return
  # The last one sweeps. Earlier would be wrong: removing a directory drops what others mounted on it.
  if [ -f "$slots/made-directories" ]; then
    while read -r path; do rmdir "$path" 2>/dev/null || true; done < "$slots/made-directories"
  fi
  rm -rf "$slots"
}

# enter_slot: sets everything that follows from the number. Fails where there is none.
enter_slot() {
  slot=$(own_slot) || return 1
  name=diapause-$slot
  host_link=dia$slot cgroup_parent=$name
  local net=10.$((200 + slot))
  host_ip=$net.0.1 node_net=$net.0
  pod_cidr=$net.16.0/20 pod_net=$net
  service_cidr=$net.32.0/20 service_ip=$net.32.1 dns_ip=$net.32.10
  api_port=6443 etcd_port=$((23790 + slot))
}

node_number() { case $1 in node-a) echo 1 ;; node-b) echo 2 ;; *) die "there is no node $1, only: $nodes" ;; esac; }
node_ip() { echo "$node_net.1$(node_number "$1")"; }
node_pods() { echo "$pod_net.$((16 + $(node_number "$1"))).0/24"; }
