# One bridge in a network namespace of its own (held by a sleeping process), so that the host's firewall
# never sees traffic between nodes; the host and every node hang on it by a veth pair.
# shellcheck shell=bash

start_network() {
  launch switch unshare --net sleep infinity
  local s
  s=$(pid_of switch)
  wait_for 5 "network namespace" has_own_network "$s"
  nsenter -t "$s" -n ip link add br0 type bridge
  nsenter -t "$s" -n ip link set br0 up
  ip link add "$host_link" type veth peer name host netns "$s"
  nsenter -t "$s" -n ip link set host master br0 up
  ip addr add "$host_ip/24" dev "$host_link"
  ip link set "$host_link" up
}
has_own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

stop_network() {
  ip link del "$host_link" 2>/dev/null || true
  stop switch KILL
}

# connect_node NODE PID: its eth0, its routes, and the host's route to its pods (webhooks, port-forward)
connect_node() {
  local s ip other
  s=$(pid_of switch) ip=$(node_ip "$1")
  ip link add name eth0 netns "$2" type veth peer name "$1" netns "$s"
  nsenter -t "$s" -n ip link set "$1" master br0 up
  ip route replace "$(node_pods "$1")" via "$ip" dev "$host_link"
  local inside="nsenter -t $2 -n ip"
  $inside link set lo up
  $inside addr add "$ip/24" dev eth0
  $inside link set eth0 up
  for other in $nodes; do
    [ "$other" = "$1" ] || $inside route add "$(node_pods "$other")" via "$(node_ip "$other")"
  done
  $inside route add default via "$host_ip"   # last: the node's pid 1 waits for it
}
