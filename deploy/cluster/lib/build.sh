# The cluster's programs, compiled from Go modules once and kept in a cache that all checkouts share.
# shellcheck shell=bash

build_key() {
  (cd "$here" && { cat lib/build-flags.sh; find kubernetes runtime -type f | LC_ALL=C sort | xargs sha256sum; uname -m; }) |
    sha256sum | cut -c1-16
}
bin=$cache/cluster-$(build_key)/bin

# Go's module cache is not below XDG_CACHE_HOME by itself.
export GOMODCACHE=${GOMODCACHE:-$cache/go-modules}

build() {
  [ -x "$bin/runc" ] && return
  need_build_packages
  mkdir -p "${bin%/bin}"
  (
    exec 8> "${bin%/bin}/lock"
    flock -n 8 || { say "waiting for another checkout that compiles the same programs"; flock -w 3600 8; }
    [ -x "$bin/runc" ] || build_all
  )
}

# Into a directory beside the final one: a build that was interrupted leaves no half set of programs.
build_all() {
  local out=$bin.new
  rm -rf "$out"
  mkdir -p "$out/cni"
  say "downloading and compiling Kubernetes $kube_version, etcd and CoreDNS (12 to 14 minutes on two cores where Go's cache is empty)"
  build_kubernetes "$out"
  say "downloading and compiling containerd, runc and the CNI plugins"
  build_runtime "$out"
  mv "$out" "$bin"
}

# Every Kubernetes program, etcd and CoreDNS are one binary, called by the name of the link: one link step
# instead of nine, and at run time nine processes share one text mapping.
build_kubernetes() { # OUT
  local stamp="" p
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    stamp+=" -X $p.gitVersion=$kube_version -X $p.gitMajor=1 -X $p.gitMinor=37"
  done
  CGO_ENABLED=0 go_build kubernetes ./cmd/hyperkube -ldflags "$go_strip$stamp" -o "$1/hyperkube"
  for p in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl coredns; do
    ln -sf hyperkube "$1/$p"
  done
}

build_runtime() { # OUT
  local containerd=github.com/containerd/containerd/v2/cmd cni=github.com/containernetworking/plugins/plugins
  CGO_ENABLED=0 go_build runtime "$containerd/containerd $containerd/containerd-shim-runc-v2 $containerd/ctr" \
    -ldflags "$go_strip" -tags "$containerd_tags" -o "$1/"
  CGO_ENABLED=0 go_build runtime "$cni/main/bridge $cni/main/loopback $cni/ipam/host-local $cni/meta/portmap" \
    -ldflags "$go_strip" -o "$1/cni/"
  local kubernetes
  kubernetes=$(cd "$here/kubernetes" && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
  # shellcheck disable=SC2086
  gcc $pause_flags -DVERSION=local -o "$1/pause" "$kubernetes/build/pause/linux/pause.c"
  CGO_ENABLED=1 go_build runtime github.com/opencontainers/runc -ldflags "$go_strip" -tags "$runc_tags" -o "$1/runc"
}

# go_build MODULE PACKAGES ARGS..: tells every 10 s how far it is
go_build() {
  local module=$1 packages=$2 log total builder status=0
  shift 2
  log=$(mktemp)
  cd "$here/$module" || die "deploy/cluster/$module is missing"
  # Downloads what these packages need and no more, and counts them.
  # shellcheck disable=SC2086
  total=$(go list -deps $packages 2> "$log" | wc -l) || { tail -n 20 "$log" >&2; die "cannot download the Go modules of deploy/cluster/$module"; }
  # shellcheck disable=SC2086
  go build -v $go_flags "$@" $packages > "$log" 2>&1 &
  builder=$!
  local began=$SECONDS next=$((SECONDS + 10))
  while kill -0 $builder 2> /dev/null; do
    if [ $SECONDS -ge $next ]; then
      say "  compiled $(grep -vc '^go: ' "$log") of at most $total packages, $((SECONDS - began)) s"
      next=$((SECONDS + 10))
    fi
    sleep 0.5
  done
  wait $builder || status=$?
  [ $status = 0 ] || { tail -n 40 "$log" >&2; die "go build failed in deploy/cluster/$module"; }
  rm -f "$log"
  cd "$here" || die "deploy/cluster is missing"
}
