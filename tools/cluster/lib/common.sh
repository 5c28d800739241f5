# Settings of cluster $N, and how its processes are started, recognised and ended. Sourced by ../cluster.

cache=${FAIRLEAD_CACHE:-$HOME/.cache/fairlead}
export PATH=$cache/k8sbin:$cache/bin:$PATH

# Components in the order in which they are started.
readonly COMPONENTS=(etcd apiserver containerd controller-manager scheduler kubelet proxy coredns)
readonly PAUSE_IMAGE=fairlead.local/pause:1

say() { printf '%6d ms  %s\n' $(($(date +%s%3N) - started_ms)) "$*" >&2; }
die() { printf 'cluster: %s\n' "$*" >&2; exit 1; }
started_ms=$(date +%s%3N)

# use_cluster N: sets the names below. Two clusters share none of them.
use_cluster() {
  [[ $1 =~ ^[1-9][0-9]?$ ]] || die "\"$1\" is not a cluster number (1 to 99)"
  N=$1
  name=fairlead-$N
  state=$cache/clusters/$N
  node=node-$N
  address=10.88.$N.1            # node and API server
  pod_cidr=10.88.$N.0/24        # pods from .10 on
  service_cidr=10.96.$N.0/24
  first_service=10.96.$N.1
  dns_service=10.96.$N.10
  outer_address=172.31.$N.1     # the host's end of the veth pair
  inner_address=172.31.$N.2
  outer_link=fairlead$N
  api=https://$address:6443
  pki=$state/pki
  conf=$state/conf
}

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_for() {
  local deadline=$(($(date +%s%3N) + $1 * 1000)) what=$2
  shift 2
  until "$@" > /dev/null 2>&1; do
    [ "$(date +%s%3N)" -lt $deadline ] || die "gave up waiting for $what; logs are in $state/log"
    sleep 0.1
  done
}

# --- control groups: all processes of a cluster, pods included, are below one group, so that `down`
# finds each of them by process id however they were detached.

readonly GROUP_ROOT=/sys/fs/cgroup
cgroup_v2() { [ -e $GROUP_ROOT/cgroup.controllers ]; }

# The hierarchies that need a group of ours: with version 1 one for each controller kubelet looks at.
group_directories() {
  local controller
  if cgroup_v2; then echo "$GROUP_ROOT/$name"; return; fi
  for controller in pids cpu cpuacct cpuset memory blkio freezer devices systemd; do
    if [ -d $GROUP_ROOT/$controller ]; then echo "$GROUP_ROOT/$controller/$name"; fi
  done
}

tracking_group() { if cgroup_v2; then echo "$GROUP_ROOT/$name/daemons"; else echo "$GROUP_ROOT/pids/$name/daemons"; fi; }

make_groups() {
  local directory file
  if cgroup_v2; then
    for file in $(cat $GROUP_ROOT/cgroup.controllers); do echo "+$file" > $GROUP_ROOT/cgroup.subtree_control || true; done
  fi
  for directory in $(group_directories); do
    mkdir -p "$directory"
    if [[ $directory == */cpuset/* ]]; then  # empty sets would refuse every process
      for file in cpuset.cpus cpuset.mems; do cat $GROUP_ROOT/cpuset/$file > "$directory/$file"; done
    fi
  done
  mkdir -p "$(tracking_group)"
}

processes_of_cluster() {
  local directory
  for directory in $(group_directories); do
    [ -d "$directory" ] || continue
    find "$directory" -name cgroup.procs -exec cat {} + 2> /dev/null || true
  done | sort -un
}

remove_groups() {
  local directory
  for directory in $(group_directories); do
    [ ! -d "$directory" ] || find "$directory" -depth -type d -exec rmdir {} + 2> /dev/null || true
  done
}

# --- processes. A process id is used again sooner or later, so its start time is recorded with it.

start_time() { awk '{sub(/.*\) /, ""); if ($1 != "Z") print $20}' "/proc/$1/stat" 2> /dev/null; }

pid_of() {  # prints the process id of a component that runs
  local pid time
  [ -e "$state/pid/$1" ] || return 1
  read -r pid time < "$state/pid/$1"
  [ -n "$time" ] && [ "$(start_time "$pid")" = "$time" ] && echo "$pid"
}
alive() { pid_of "$1" > /dev/null; }

# launch NAME COMMAND...: detached, in the cluster's network and mount namespace, output in log/NAME.log.
launch() {
  local component=$1 group pid inside=()
  shift
  group=$(tracking_group)
  if [ "$component" != sandbox ]; then inside=(nsenter -t "$(pid_of sandbox)" --net --mount --wd="$pki"); fi
  (echo $BASHPID > "$group/cgroup.procs"; exec setsid "${inside[@]}" "$@") \
    < /dev/null >> "$state/log/$component.log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(start_time $pid)" > "$state/pid/$component"
}

# end NAME SIGNAL: returns when the process is gone.
end() {
  local pid try
  pid=$(pid_of "$1") || return 0
  kill "-$2" "$pid"
  for ((try = 0; try < 400; try++)); do
    alive "$1" || break
    if ((try == 300)); then kill -KILL "$pid"; fi
    sleep 0.1
  done
  rm -f "$state/pid/$1"
}

inside() { nsenter -t "$(pid_of sandbox)" --net --mount "$@"; }
admin() { kubectl --kubeconfig "$state/kubeconfig" "$@"; }
