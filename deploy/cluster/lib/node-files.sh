# Configuration of a node's programs.
# shellcheck shell=bash

write_node_files() { # NODE DIR
  write_containerd_config "$2/containerd.toml"
  write_network_config "$1" /etc/cni/net.d/10-pods.conflist
  : > "$2/resolv.conf"
  write_kubelet_config "$1" "$2"
  cat > "$2/kube-proxy.yaml" << END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $pod_cidr
hostnameOverride: $1
clientConnection: {kubeconfig: $run/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0}   # nf_conntrack_max belongs to the host
linux: {oomScoreAdj: 0}
END
}

write_containerd_config() { # FILE
  cat > "$1" << END
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins.'io.containerd.internal.v1.opt']
  path = "/var/lib/containerd/opt"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "local/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true     # without CAP_SYS_RESOURCE the score cannot be lowered
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "$bin/runc"
  SystemdCgroup = false
END
}

write_network_config() { # NODE FILE
  cat > "$2" << END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(node_pods "$1")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
}

write_kubelet_config() { # NODE DIR
  cat > "$2/kubelet.yaml" << END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_ip "$1")
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
tlsCertFile: $pki/$1.crt
tlsPrivateKeyFile: $pki/$1.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup_parent/$1
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
resolvConf: $2/resolv.conf
clusterDomain: cluster.local
clusterDNS: [$dns_ip]
imageMinimumGCAge: 8760h
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
nodeStatusUpdateFrequency: 5s
shutdownGracePeriod: 0s
crashLoopBackOff: {maxContainerRestartPeriod: 2s}   # a program that a test killed comes back at once
logging: {verbosity: ${KUBELET_V:-1}}
END
}
