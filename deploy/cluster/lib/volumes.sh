# A pool of PersistentVolumes without a storage class. They are directories of the host, which both nodes see
# at the same path, so that ReadWriteMany is real. A claim without a storage class binds to one of them.
# shellcheck shell=bash

volume_count=30 volume_size=20Gi

make_volumes() {
  local n dir
  for n in $(seq -w 1 $volume_count); do
    dir=$run/volumes/$n
    mkdir -p -m 1777 "$dir"
    cat << END
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pool-$n}
spec:
  capacity: {storage: $volume_size}
  accessModes: [ReadWriteOnce, ReadOnlyMany, ReadWriteMany]
  storageClassName: ""
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: $dir, type: Directory}
END
  done | kubectl apply --server-side -f - > /dev/null
  launch volume-keeper "$self" __keep_volumes
}

# Kubernetes itself cleans hostPath volumes only below /tmp: this empties a released one and offers it again.
keep_volumes() {
  local volume phase
  while :; do
    kubectl get persistentvolumes --watch -o 'jsonpath={.metadata.name} {.status.phase}{"\n"}' |
      while read -r volume phase; do
        [[ $volume =~ ^pool-[0-9]+$ && $phase = Released ]] || continue
        find "$run/volumes/${volume#pool-}" -xdev -mindepth 1 -delete || continue
        kubectl patch persistentvolume "$volume" --type merge -p '{"spec":{"claimRef":null}}'
      done || true   # the API server was away: its end must not be ours
    sleep 1
  done
}
