# Files of a cluster, made once: certificates, kubeconfigs, the audit policy. Sourced by ../cluster and ../loopback.
# $name and $api say what the kubeconfigs are for.

make_authority() {  # FILE
  [ ! -e "$1.crt" ] || return 0
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$name-$1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$1.key" -out "$1.crt" 2> /dev/null
}

make_certificate() {  # FILE AUTHORITY SUBJECT [ALTERNATIVE_NAMES]
  [ ! -e "$1.crt" ] || return 0
  {
    echo keyUsage=critical,digitalSignature
    echo extendedKeyUsage=clientAuth,serverAuth
    if [ -n "${4:-}" ]; then echo "subjectAltName=$4"; fi
  } > "$1.ext"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$1.key" -out "$1.csr" 2> /dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 3650 -extfile "$1.ext" \
    -out "$1.crt" 2> /dev/null
  rm "$1.csr" "$1.ext"
}

make_kubeconfig() {  # CERTIFICATE FILE
  [ ! -e "$2" ] || return 0
  cat > "$2" << YAML
apiVersion: v1
kind: Config
clusters:
- name: $name
  cluster: {server: "$api", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}
contexts:
- name: $name
  context: {cluster: $name, user: $1}
current-context: $name
YAML
  chmod 600 "$2"
}

# Who asked what, reads included: tests count requests with it.
write_audit_policy() {  # FILE
  cat > "$1" << 'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
YAML
}

make_identities() {
  cd "$pki"
  make_authority ca
  make_authority front-proxy-ca
  local service=kubernetes.default.svc
  make_certificate apiserver ca /CN=kube-apiserver \
    "IP:$address,IP:$first_service,IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local"
  make_certificate kubelet ca "/O=system:nodes/CN=system:node:$node" "IP:$address,DNS:$node"
  make_certificate apiserver-to-kubelet ca /O=system:masters/CN=kube-apiserver-kubelet-client
  make_certificate front-proxy front-proxy-ca /CN=front-proxy-client
  make_certificate admin ca /O=system:masters/CN=admin
  make_certificate controller-manager ca /CN=system:kube-controller-manager
  make_certificate scheduler ca /CN=system:kube-scheduler
  make_certificate proxy ca /CN=system:kube-proxy
  make_certificate coredns ca /CN=system:coredns
  [ -e service-account.key ] || openssl ecparam -name prime256v1 -genkey -noout -out service-account.key
  [ -e service-account.pub ] || openssl ec -in service-account.key -pubout -out service-account.pub 2> /dev/null
  chmod 600 ./*.key
  local user
  for user in kubelet controller-manager scheduler proxy coredns; do make_kubeconfig $user "$conf/$user.kubeconfig"; done
  make_kubeconfig admin "$state/kubeconfig"
  cd - > /dev/null
}
