# etcd, API server, controller manager and scheduler. Sourced by ../cluster. They run with pki/ as directory.

start_etcd() {
  launch etcd etcd --name="$name" --data-dir="$state/etcd" --log-level=warn --auto-compaction-retention=1h \
    --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
    --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
    --initial-cluster="$name=http://127.0.0.1:2380" --unsafe-no-fsync
}

start_apiserver() {
  write_audit_policy "$conf/audit-policy.yaml"
  local flags=(
    --etcd-servers=http://127.0.0.1:2379
    --bind-address="$address" --advertise-address="$address" --secure-port=6443
    --service-cluster-ip-range="$service_cidr" --allow-privileged=true
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
    --audit-policy-file="$conf/audit-policy.yaml" --audit-log-path="$state/audit.log" --audit-log-mode=blocking
    --client-ca-file=ca.crt --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key
    --service-account-issuer=https://kubernetes.default.svc.cluster.local
    --service-account-key-file=service-account.pub --service-account-signing-key-file=service-account.key
    --kubelet-certificate-authority=ca.crt --kubelet-preferred-address-types=InternalIP
    --kubelet-client-certificate=apiserver-to-kubelet.crt --kubelet-client-key=apiserver-to-kubelet.key
    --requestheader-client-ca-file=front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group
    --requestheader-extra-headers-prefix=X-Remote-Extra-
    --proxy-client-cert-file=front-proxy.crt --proxy-client-key-file=front-proxy.key)
  launch apiserver kube-apiserver "${flags[@]}"
}

apiserver_ready() {
  curl -fsS --max-time 2 --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" "$api/readyz"
}

# Its default of 20 requests a second makes the first ServiceAccounts wait for seconds.
start_controller-manager() {
  launch controller-manager kube-controller-manager --leader-elect=false --kube-api-qps=500 --kube-api-burst=500 \
    --kubeconfig="$conf/controller-manager.kubeconfig" \
    --authentication-kubeconfig="$conf/controller-manager.kubeconfig" \
    --authorization-kubeconfig="$conf/controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --cluster-name="$name" --use-service-account-credentials=true \
    --service-account-private-key-file=service-account.key --root-ca-file=ca.crt --client-ca-file=ca.crt \
    --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key \
    --requestheader-client-ca-file=front-proxy-ca.crt
}

start_scheduler() {
  launch scheduler kube-scheduler --leader-elect=false --bind-address=127.0.0.1 \
    --kubeconfig="$conf/scheduler.kubeconfig" --authentication-kubeconfig="$conf/scheduler.kubeconfig" \
    --authorization-kubeconfig="$conf/scheduler.kubeconfig"
}
