# Images without a registry: archives are imported into each node's containerd. Copies stay in run/images, so
# that a node which was away takes what it missed at its next start.
# shellcheck shell=bash

# make_image NAME ROOTFS OUT [CMD..]: a docker archive with one layer
make_image() {
  local image=$1 rootfs=$2 out=$3 dir digest argument command=
  shift 3
  dir=$(mktemp -d)
  tar -C "$rootfs" --owner 0 --group 0 --numeric-owner --sort name --mtime @0 -cf "$dir/layer.tar" .
  digest=$(sha256sum < "$dir/layer.tar" | cut -d' ' -f1)
  for argument in "$@"; do command+="${command:+, }\"$argument\""; done
  cat > "$dir/config.json" << END
{"architecture": "$(go_arch)", "os": "linux", "config": {"Env": ["PATH=/bin:/usr/bin:/sbin"], "Cmd": [$command]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
END
  echo "[{\"Config\": \"config.json\", \"RepoTags\": [\"$image\"], \"Layers\": [\"layer.tar\"]}]" > "$dir/manifest.json"
  tar -C "$dir" -cf "$out" manifest.json config.json layer.tar
  rm -r "$dir"
}
go_arch() { case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac; }

# load_image FILE: into the running nodes now, into the others when they start. Fails if it was there already,
# byte for byte, so that a caller knows whether anything changed.
load_image() {
  local kept node pids=() pid
  kept=$images/$(basename "$1")
  [ -f "$1" ] || die "no such image archive: $1"
  if cmp -s "$1" "$kept"; then return 1; fi
  cp "$1" "$kept.new" && mv "$kept.new" "$kept"
  for node in $nodes; do
    runs "$node" || continue
    import_in_node "$node" "$kept" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || die "cannot import $1 (see above)"; done
}

import_in_node() { # NODE FILE
  local pid said
  pid=$(pid_of "$1")
  # Kept back unless it fails: ctr warns of cgroup v1 at every start.
  said=$(nsenter -t "$pid" -m -p -n -u -i -- "$bin/ctr" -n k8s.io images import --local "$2" 2>&1) ||
    { echo "$said" >&2; return 1; }
  mark_imported "$1" "$2"
}

# Called by a node's pid 1.
import_missing() { # NODE
  local file
  for file in "$images"/*.tar; do
    [ "$(imported_mark "$file")" != "$(cat "$run/$1/imported/$(basename "$file")" 2>/dev/null)" ] || continue
    if ctr -n k8s.io images import --local "$file" > /dev/null; then mark_imported "$1" "$file"; else say "cannot import $file"; fi
  done
}

mark_imported() { # NODE FILE
  mkdir -p "$run/$1/imported"
  imported_mark "$2" > "$run/$1/imported/$(basename "$2")"
}
imported_mark() { stat -c '%s %Y %i' "$1"; }
