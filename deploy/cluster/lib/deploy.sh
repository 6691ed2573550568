# Diapause itself: its images, built from this checkout, and the manifests of deploy/base.
# shellcheck shell=bash

operator_images="controller agent init"
operator_namespace=diapause-system

deploy_operator() {
  local manifests=$checkout/deploy/base image changed=
  if [ ! -f "$manifests/kustomization.yaml" ]; then
    say "deploy/base/kustomization.yaml does not exist: the cluster stays without Diapause"
    return
  fi
  say "building images"
  # shellcheck disable=SC2086
  "$checkout/node_modules/.bin/node" "$checkout/deploy/images/main.ts" $operator_images || die "the images of Diapause do not build"
  for image in $operator_images; do
    if load_image "$checkout/build/images/$image.tar"; then changed=yes; say "loaded $image"; fi
  done
  say "applying deploy/base"
  kubectl apply --server-side --force-conflicts -k "$manifests" > "$logs/deploy.log" 2>&1 ||
    { cat "$logs/deploy.log" >&2; die "kubectl apply -k deploy/base failed"; }
  # The tag stays the same, so a new image needs new pods.
  if [ -n "$changed" ] && [ -f "$run/deployed" ]; then
    kubectl -n $operator_namespace rollout restart deployment,daemonset > /dev/null
  fi
  wait_for_rollout
  touch "$run/deployed"
}

wait_for_rollout() {
  local object
  for object in $(kubectl -n $operator_namespace get deployment,daemonset -o name); do
    say "waiting for $object"
    kubectl -n $operator_namespace rollout status "$object" --timeout 180s > /dev/null || {
      kubectl -n $operator_namespace get pods -o wide >&2 || true
      kubectl -n $operator_namespace get events --sort-by .lastTimestamp 2>/dev/null | tail -n 15 >&2
      die "$object did not become ready"
    }
  done
}
