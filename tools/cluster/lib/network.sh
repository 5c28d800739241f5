# Namespaces and addresses of a cluster. Sourced by ../cluster.
#
# Each cluster has a network and a mount namespace of its own, held by one sleeping process, the "sandbox":
# kube-proxy's rules, CNI's files in /var/lib/cni and /run/netns, overlay mounts and Secret volumes of two
# clusters cannot meet, and the kernel removes all of it with the cluster's last process.

readonly PRIVATE_DIRECTORIES=(/run/netns /run/containerd /var/lib/cni /var/log/containers)

start_sandbox() {
  alive sandbox && return
  local directory mounts=""
  for directory in "${PRIVATE_DIRECTORIES[@]}"; do
    mkdir -p "$directory" "$state/private$directory"
    mounts+="mount --bind $state/private$directory $directory && "
  done
  launch sandbox unshare --net --mount --propagation private sh -c \
    "mount --make-rshared / && $mounts touch $state/sandbox-ready && exec sleep infinity"
  wait_for 10 "the cluster's namespaces" test -e "$state/sandbox-ready"
  rm "$state/sandbox-ready"
}

# The node's address is on a bridge, which also holds the pods. A veth pair leads to the host, which forwards
# between clusters. There is no default route: pods reach clusters and the host, and nothing else.
connect_network() {
  sysctl -qw net.ipv4.ip_forward=1
  ip route replace unreachable 10.88.0.0/16
  if ! ip link show "$outer_link" > /dev/null 2>&1; then
    ip link add "$outer_link" type veth peer name up0 netns "$(pid_of sandbox)"
    ip addr add "$outer_address/30" dev "$outer_link"
    ip link set "$outer_link" up
    inside sh -ec "
      ip link set lo up
      ip addr add $inner_address/30 dev up0
      ip link set up0 up
      ip link add pods0 type bridge
      ip addr add $address/24 dev pods0
      ip link set pods0 up
      ip route add 10.88.0.0/16 via $outer_address
      ip route add unreachable 10.96.0.0/16
      ip route add $service_cidr dev pods0  # nat sees only what has a route
      sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1"
  fi
  ip route replace "$pod_cidr" via "$inner_address"
}

disconnect_network() {
  ip link delete "$outer_link" 2> /dev/null || true
  if ! compgen -G "$cache/clusters/[0-9]*" > /dev/null; then ip route delete unreachable 10.88.0.0/16 2> /dev/null || true; fi
}
