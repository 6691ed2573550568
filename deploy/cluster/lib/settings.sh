# Names and places that do not depend on which cluster of this machine it is.
# shellcheck shell=bash disable=SC2034

checkout=$(cd "$here/../.." && pwd)
base=$(realpath -m "${CLUSTER_DIR:-$checkout/.cluster}")
export CLUSTER_DIR=$base            # a node's pid 1 is this script again and must find the same place

cache=${XDG_CACHE_HOME:-$HOME/.cache}/diapause
run=$base/run pki=$run/pki logs=$run/logs images=$run/images
kubeconfig=$base/kubeconfig

nodes="node-a node-b"
kube_version=v1.37.2

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
die() { say "error: $*"; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "the cluster needs root (namespaces, mounts, cgroups): run it with sudo"; }

# wait_for SECONDS WHAT CMD..: tries every 100 ms
wait_for() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || die "timed out: $what; look into $logs"
    sleep 0.1
  done
}
