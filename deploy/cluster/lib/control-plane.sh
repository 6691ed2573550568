# etcd, kube-apiserver, kube-controller-manager and kube-scheduler: plain processes of the host that listen
# on this cluster's own address, never on the machine's.
# shellcheck shell=bash disable=SC2034

control_plane="etcd kube-apiserver kube-controller-manager kube-scheduler"

kubectl() { "$bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

start_control_plane() {
  say "control plane"
  printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' > "$run/audit-policy.yaml"
  start_etcd
  start_apiserver
  wait_for 120 "kube-apiserver" kubectl get --raw /readyz
  start_controller_manager
  start_scheduler
  # As kubeadm does. system:kubelet-api-admin would not do: it lacks nodes/checkpoint.
  kubectl create clusterrolebinding kubeadm:cluster-admins --clusterrole cluster-admin --group kubeadm:cluster-admins > /dev/null
}

start_etcd() {
  launch etcd "$bin/etcd" --name "$name" --data-dir "$run/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls http://127.0.0.1:0
}

start_apiserver() {
  # shellcheck disable=SC2086
  launch kube-apiserver "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" \
    --bind-address "$host_ip" --advertise-address "$host_ip" --secure-port "$api_port" \
    --service-cluster-ip-range "$service_cidr" --client-ca-file "$pki/ca.crt" \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --kubelet-certificate-authority "$pki/ca.crt" --kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" \
    --kubelet-client-key "$pki/apiserver-kubelet-client.key" --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/sa.pub" \
    --service-account-signing-key-file "$pki/sa.key" --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction --allow-privileged --enable-aggregator-routing \
    --audit-policy-file "$run/audit-policy.yaml" --audit-log-path "$logs/audit.log" ${APISERVER_ARGS:-}
}

start_controller_manager() {
  local config=$run/kube-controller-manager.kubeconfig
  launch kube-controller-manager "$bin/kube-controller-manager" --kubeconfig "$config" \
    --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" --use-service-account-credentials \
    --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" --client-ca-file "$pki/ca.crt" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
    --leader-elect=false --cluster-cidr "$pod_cidr" --bind-address "$host_ip" \
    --node-monitor-grace-period "${NODE_GRACE:-20s}"
}

start_scheduler() {
  local config=$run/kube-scheduler.kubeconfig
  launch kube-scheduler "$bin/kube-scheduler" --kubeconfig "$config" --authentication-kubeconfig "$config" \
    --authorization-kubeconfig "$config" --client-ca-file "$pki/ca.crt" --leader-elect=false --bind-address "$host_ip"
}

# CoreDNS as an ordinary deployment; its program comes from the host, so its image is the smallest one there is.
start_dns() {
  sed -e "s|@DNS_IP@|$dns_ip|" -e "s|@PROGRAMS@|$bin|" "$here/manifests/coredns.yaml" | kubectl apply -f - > /dev/null
}
