#!/usr/bin/env bash
# A real two-node Kubernetes on one Linux machine, without a container registry. Needs root.
#
#   cluster.sh up | down | status      boots it, removes every trace of it, tells what runs
#   cluster.sh build                   only installs packages and compiles the programs
#   cluster.sh deploy                  builds and loads the images of Diapause, applies deploy/base
#   cluster.sh env                     prints export lines for KUBECONFIG and PATH
#   cluster.sh image NAME DIR [CMD..]  makes an image of a directory and loads it into both nodes
#   cluster.sh load FILE.tar..         loads docker or OCI image archives into both nodes
#   cluster.sh exec NODE CMD..         runs a command inside a node (all its namespaces)
#   cluster.sh crash NODE              ends a node as a power cut would
#   cluster.sh start NODE              starts it again
#   cluster.sh cut NODE                takes its network away; pods on it reach each other
#   cluster.sh heal NODE               gives it back
#   cluster.sh restart-apiserver       kills the API server and starts it again
#
# CLUSTER_DIR (default: .cluster of this checkout) holds everything of one cluster; clusters of
# several checkouts run beside each other (lib/slot.sh). README.md tells how it is made.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/cluster.sh
for part in settings slot needs build-flags build pki processes control-plane network cgroups \
  node node-files images volumes deploy commands; do
  # shellcheck source=/dev/null
  . "$here/lib/$part.sh"
done

main() {
  local command=${1:-help}
  [ $# = 0 ] || shift
  case $command in
    up | down | deploy) one_at_a_time && "command_$command" ;;
    status | build | env | image | load | crash | start | cut | heal | restart-apiserver) "command_${command//-/_}" "$@" ;;
    exec) in_node "$@" ;;
    __node) enter_slot && node_main "$@" ;;
    __keep_volumes) enter_slot && keep_volumes ;;
    help | *) sed -n '2,/^set /s/^# \{0,1\}//p' "$self"; [ "$command" = help ] || exit 2 ;;
  esac
}

# One line, so that bash has read all of the script before it starts: an edit does not disturb it.
main "$@"; exit
