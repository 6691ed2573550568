# Certificates of one authority (EC, by openssl) and a kubeconfig for each component.
# shellcheck shell=bash

# certificate NAME SUBJECT [SAN]: a key and a certificate, for both client and server use
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$pki/$1.key" -subj "$2" 2>/dev/null |
    openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 -out "$pki/$1.crt" 2>/dev/null \
      -extfile <(printf 'keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}")
}

write_kubeconfig() { # NAME FILE
  local encode="base64 -w0"
  cat > "$2" << END
apiVersion: v1
kind: Config
clusters: [{name: $name, cluster: {server: "https://$host_ip:$api_port", certificate-authority-data: $($encode < "$pki/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $($encode < "$pki/$1.crt"), client-key-data: $($encode < "$pki/$1.key")}}]
contexts: [{name: $name, context: {cluster: $name, user: $1}}]
current-context: $name
END
}

make_pki() {
  umask 077
  mkdir -p "$pki"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$name" \
    -addext keyUsage=keyCertSign,cRLSign,digitalSignature -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/sa.key"
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
  local internal=kubernetes.default.svc
  certificate apiserver /CN=kube-apiserver \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:$internal,DNS:$internal.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$host_ip,IP:$service_ip"
  certificate apiserver-kubelet-client /O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client
  certificate admin /O=system:masters/CN=admin
  write_kubeconfig admin "$kubeconfig"
  local component
  for component in kube-controller-manager kube-scheduler kube-proxy; do
    certificate $component "/CN=system:$component"
    write_kubeconfig $component "$run/$component.kubeconfig"
  done
  for component in $nodes; do
    certificate "$component" "/O=system:nodes/CN=system:node:$component" "DNS:$component,IP:$(node_ip "$component")"
    write_kubeconfig "$component" "$run/$component.kubeconfig"
  done
  umask 022
}
