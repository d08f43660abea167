#!/usr/bin/env bash
# Builds what the tests on Kubernetes need, from source: etcd, the API server, the controller-manager and kubectl; and for
# tests on a real node the kubelet, kube-proxy and the scheduler, which are a module of their own, so that each of the two
# is built once per state of its go.sum. Nothing of it is part of a release. Both together: 10 to 13 minutes on two idle
# cores, the second alone 4 to 6; 3 GB of memory, 4 GB of disk while it lasts and 550 MB afterwards.
set -euo pipefail
cd "$(dirname "$0")"

kubernetes=v1.37.2
go=${GO:-$(command -v go || echo /usr/local/go/bin/go)}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kuma-kube
state() { sha256sum "$1/go.sum" | cut -c -12; }
cluster=$cache/$kubernetes-$(state .)
node=$cache/$kubernetes-node-$(state node)
building=$cache/building

finished() { [ -x "$cluster/kube-apiserver" ] && [ -x "$node/kube-scheduler" ]; }
tell() { printf '%s\n' "$cluster" "$node"; }

if finished; then tell; exit; fi
"$go" version > /dev/null || { echo "tools/kube/build.sh: Go 1.26 or newer is needed; GO names one" >&2; exit 1; }

mkdir -p "$building"
exec 9> "$building/lock"
flock 9  # two that begin at once: the second one finds what the first one built
if finished; then tell; exit; fi

export CGO_ENABLED=0 GOMAXPROCS=${GOMAXPROCS:-2} GOCACHE=$building/cache GOFLAGS= GOWORK=off
base=k8s.io/component-base/version
number=${kubernetes#v}
major=${number%%.*} rest=${number#*.}
minor=${rest%%.*}
flags="-s -w -X $base.gitVersion=$kubernetes -X $base.gitMajor=$major -X $base.gitMinor=$minor"

build_all() {  # the folder that gets them, the folder of the module, packages; a program has the name of its package
  local target=$1 module=$2 package name
  shift 2
  echo "Building into $target (some minutes, once) ..." >&2
  for package; do
    name=${package##*/}
    if [ "$name" = v3 ]; then name=etcd; fi
    echo "  $name" >&2
    "$go" -C "$module" build -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" -o "$target.part/$name" "$package"
  done
  rm -rf "$target"
  mv "$target.part" "$target"
}

commands=k8s.io/kubernetes/cmd
if ! [ -x "$cluster/kube-apiserver" ]; then
  build_all "$cluster" . \
    go.etcd.io/etcd/server/v3 $commands/kubectl $commands/kube-controller-manager $commands/kube-apiserver
fi
if ! [ -x "$node/kube-scheduler" ]; then
  build_all "$node" node $commands/kubelet $commands/kube-proxy $commands/kube-scheduler
fi
rm -rf "$building"
tell
