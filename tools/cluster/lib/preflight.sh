# What a machine must have. Each failed check names what lacks and the next step. Sourced by ../cluster.

readonly NEEDED_MIB=4096

lacking=0
lack() { printf '  missing  %s\n           next step: %s\n' "$1" "$2" >&2; lacking=1; }
have() { printf '  ok       %s\n' "$1" >&2; }

check_commands() {
  local command package missing=0
  while read -r command package; do
    command -v "$command" > /dev/null && continue
    lack "command $command" "apt-get install --no-install-recommends $package, or make deps"
    missing=1
  done << 'LIST'
containerd containerd
ctr containerd
runc runc
buildah buildah
ip iproute2
nft nftables
iptables iptables
openssl openssl
curl curl
gcc gcc
nsenter util-linux
LIST
  [ -x /usr/lib/cni/bridge ] || { lack "CNI plugins in /usr/lib/cni" "apt-get install containernetworking-plugins"; missing=1; }
  [ $missing = 1 ] || have "commands and CNI plugins"
}

check_groups() {
  local controller
  if cgroup_v2; then have "control groups version 2"; return; fi
  for controller in pids cpu cpuset memory devices; do
    [ -d $GROUP_ROOT/$controller ] && continue
    lack "control group controller $controller" "mount -t cgroup -o $controller $controller $GROUP_ROOT/$controller"
    return
  done
  have "control groups version 1"
}

# Tried for real in a namespace of its own: a module list says little about a kernel.
check_kernel() {
  local scratch
  mkdir -p "$cache/clusters"
  scratch=$(mktemp -d "$cache/clusters/.preflight.XXXX")
  mkdir "$scratch/"{lower,upper,work,merged}
  if unshare --mount sh -c "mount -t overlay overlay -o lowerdir=$scratch/lower,upperdir=$scratch/upper,workdir=$scratch/work $scratch/merged" 2> /dev/null
  then have "overlayfs on $cache"
  else lack "overlayfs on $cache" "use a kernel with CONFIG_OVERLAY_FS, and a FAIRLEAD_CACHE on ext4 or xfs"; fi
  rm -rf "$scratch"
  if unshare --net sh -c 'ip link set lo up && ip link add name probe0 type bridge && ip link add name probe1 type veth peer name probe2 &&
      nft add table ip t && nft add chain ip t c "{ type nat hook output priority 0; }" &&
      sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1' 2> /dev/null
  then have "bridge, veth, nftables nat and br_netfilter in a network namespace"
  else lack "bridge, veth, nftables nat or br_netfilter" "modprobe -a bridge veth nf_tables nft_chain_nat br_netfilter"; fi
}

check_space() {
  local free
  free=$(df --output=avail -m "$cache" | tail -1)
  if [ "$free" -ge $NEEDED_MIB ]; then have "$free MiB of disk space"
  else lack "disk space: $free MiB free in $cache, $NEEDED_MIB wanted" "free some, or set FAIRLEAD_CACHE to another disk"; fi
}

check_address() {
  [ -n "${N:-}" ] || return 0
  local device
  device=$(ip -o addr show to 10.88."$N".0/24 | awk '{print $2; exit}')
  if [ -n "$device" ]; then
    lack "the network 10.88.$N.0/24: interface $device of this host has it" "end what made $device, or use another cluster number"
  else have "network 10.88.$N.0/24"; fi
}

# preflight: 0 when a cluster can be started here (the binaries are a step of their own).
preflight() {
  if [ "$(id -u)" != 0 ]; then lack "root" "run it as root: namespaces, mounts and control groups need it"; return 1; fi
  have root
  mkdir -p "$cache"
  check_commands
  check_groups
  check_kernel
  check_space
  check_address
  if [ "${binaries_come_later:-}" = 1 ]; then return $lacking; fi
  if ! "$here/build" --check > /dev/null; then
    lack "Kubernetes binaries ($("$here/build" --check | sed 's/.*missing: //'))" "tools/cluster/build (ten minutes, once)"
  else have "Kubernetes binaries"; fi
  return $lacking
}
