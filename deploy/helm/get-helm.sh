#!/usr/bin/env bash
# Prints the path of helm: of the PATH, else one compiled from its Go module, once, into the cache.
# With --found, compiles nothing: prints nothing and fails where there is none.
set -euo pipefail

version=v4.3.1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/diapause
compiled=$cache/helm-$version/helm

if command -v helm; then exit; fi
if [ -x "$compiled" ]; then echo "$compiled"; exit; fi
[ "${1:-}" != --found ] || exit 1
command -v go > /dev/null || { echo 'helm is neither here nor can it be compiled: install helm or Go' >&2; exit 1; }

echo "compiling helm $version from its Go module (some minutes, once)" >&2
# Into a directory beside the final one: an interrupted build leaves no half program.
mkdir -p "$cache"
out=$(mktemp -d "$cache/helm-XXXXXX")
trap 'rm -rf "$out"' EXIT
GOMODCACHE=${GOMODCACHE:-$cache/go-modules} GOBIN=$out CGO_ENABLED=0 \
  go install -trimpath -buildvcs=false -modcacherw -ldflags '-s -w' "helm.sh/helm/v4/cmd/helm@$version" >&2
mkdir -p "$(dirname "$compiled")"
mv "$out/helm" "$compiled"
echo "$compiled"
