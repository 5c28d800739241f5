# containerd, kubelet, kube-proxy and CoreDNS. Sourced by ../cluster.

write_cni() {
  mkdir -p "$state/cni"
  cat > "$state/cni/10-pods.conflist" << JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$state/cni-addresses", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "$pod_cidr", "rangeStart": "10.88.$N.10"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
}

# restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE cannot lower the score of a pod's sandbox, and
# runc then fails without saying why.
start_containerd() {
  write_cni
  cat > "$conf/containerd.toml" << TOML
version = 2
root = "$state/containerd"
state = "$state/containerd-run"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "$state/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
TOML
  launch containerd containerd --config "$conf/containerd.toml"
}

load_image() {  # FILE
  inside ctr --address "$state/containerd.sock" --namespace k8s.io images import "$1"
}

# Images cannot be pulled here, so kubelet must never collect one (imageGCHighThresholdPercent).
start_kubelet() {
  : > "$conf/resolv.conf"
  cat > "$conf/kubelet.yaml" << YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
clusterDomain: cluster.local
clusterDNS: [$dns_service]
resolvConf: $conf/resolv.conf
containerRuntimeEndpoint: unix://$state/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$name
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
podLogsDir: $state/pod-logs
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 200Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
YAML
  launch kubelet kubelet --config="$conf/kubelet.yaml" --kubeconfig="$conf/kubelet.kubeconfig" --node-ip="$address" \
    --hostname-override="$node" --root-dir="$state/kubelet" --cert-dir="$state/kubelet-certificates"
}

start_proxy() {
  cat > "$conf/proxy.yaml" << YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $conf/proxy.kubeconfig}
mode: nftables
detectLocalMode: ClusterCIDR
clusterCIDR: $pod_cidr
hostnameOverride: $node
conntrack: {maxPerCore: 0, min: 0}
YAML
  launch proxy kube-proxy --config="$conf/proxy.yaml"
}

start_coredns() {
  cat > "$conf/Corefile" << COREFILE
.:53 {
  bind $address
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $conf/coredns.kubeconfig
    ttl 5
  }
}
COREFILE
  launch coredns coredns -conf "$conf/Corefile"
}

# CoreDNS runs beside kubelet rather than in a pod; its Service leads to the node's address.
publish_dns() {
  sed "s/@DNS_SERVICE@/$dns_service/; s/@NODE_ADDRESS@/$address/" "$here/dns.yaml.in" |
    admin apply --server-side --force-conflicts -f - >> "$state/log/coredns.log" 2>&1
}
