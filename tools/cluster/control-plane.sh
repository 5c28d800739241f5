#!/usr/bin/env bash
# A real etcd and kube-apiserver on loopback, for tests of the cache path. They need no root, no
# containers and no network beyond 127.0.0.1; nothing outlives `down`.
#
# usage: control-plane.sh up DIR PORT     prints nothing; DIR/kubeconfig is the administrator's
#        control-plane.sh stop|start DIR  the API server only, killed and brought back
#        control-plane.sh down DIR
# DIR/audit.log has a line for each request (level Metadata).
set -euo pipefail
cache=${FAIRLEAD_CACHE:-$HOME/.cache/fairlead}
bin=$cache/k8sbin

alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2> /dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$(cat "$1")/status"; }

end() { # end PIDFILE: kills and waits, by process id
  [ -f "$1" ] || return 0
  kill -9 "$(cat "$1")" 2> /dev/null || true
  for _ in $(seq 100); do alive "$1" || break; sleep 0.05; done
  rm -f "$1"
}

certificate() { # certificate NAME SUBJECT EXTENSIONS
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
    -extfile <(printf '%s\n' "$3") 2> /dev/null
}

make_files() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=test-ca 2> /dev/null
  certificate apiserver /CN=kube-apiserver 'subjectAltName=IP:127.0.0.1,DNS:localhost
extendedKeyUsage=serverAuth'
  certificate admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth
  certificate agent /CN=fairlead-agent extendedKeyUsage=clientAuth
  openssl ecparam -name prime256v1 -genkey -noout -out sa.key
  printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' > audit.yaml
  local who
  for who in admin agent; do
    cat > "$([ $who = admin ] && echo kubeconfig || echo agent.kubeconfig)" <<CONFIG
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$port", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $who, user: {client-certificate-data: $(base64 -w0 $who.crt), client-key-data: $(base64 -w0 $who.key)}}]
contexts: [{name: test, context: {cluster: test, user: $who}}]
CONFIG
  done
}

start_etcd() {
  # No fsync: the data is thrown away, and tests should measure us and not the disk.
  "$bin/etcd" --data-dir etcd --unsafe-no-fsync --listen-client-urls "http://127.0.0.1:$((port + 1))" \
    --advertise-client-urls "http://127.0.0.1:$((port + 1))" --listen-peer-urls "http://127.0.0.1:$((port + 2))" \
    > etcd.log 2>&1 < /dev/null & echo $! > etcd.pid
}

start_apiserver() {
  "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$((port + 1))" --bind-address 127.0.0.1 --advertise-address 10.255.255.1 \
    --secure-port "$port" --endpoint-reconciler-type none --service-cluster-ip-range 10.96.0.0/24 --authorization-mode RBAC \
    --client-ca-file ca.crt --tls-cert-file apiserver.crt --tls-private-key-file apiserver.key \
    --service-account-issuer https://test --service-account-key-file sa.key --service-account-signing-key-file sa.key \
    --disable-admission-plugins ServiceAccount --audit-policy-file audit.yaml --audit-log-path audit.log \
    >> apiserver.log 2>&1 < /dev/null & echo $! > apiserver.pid
  for _ in $(seq 300); do
    if "$bin/kubectl" --kubeconfig kubeconfig get --raw /readyz > /dev/null 2>&1; then return 0; fi
    if ! alive apiserver.pid; then break; fi
    sleep 0.1
  done
  echo "control plane: the API server did not become ready; the end of $PWD/apiserver.log:" >&2
  tail -5 apiserver.log >&2
  return 1
}

verb=${1:-} dir=${2:-}
[ -n "$dir" ] || { sed -n '2,9p' "$0" >&2; exit 2; }
mkdir -p "$dir" && cd "$dir"
[ "$verb" = up ] && echo "${3:?PORT}" > port
port=$(cat port 2> /dev/null || true)
case $verb in
  up) make_files; start_etcd; start_apiserver ;;
  stop) end apiserver.pid ;;
  start) start_apiserver ;;
  down) end apiserver.pid; end etcd.pid ;;
  *) echo "control-plane.sh: unknown verb $verb" >&2; exit 2 ;;
esac
