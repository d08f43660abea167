#!/usr/bin/env bash
# Builds what the tests on Kubernetes need: etcd, the API server, the controller-manager and kubectl, from source.
# Nothing of it is part of a release. Once per state of go.sum: 8 to 10 minutes on two idle cores, 3 GB of memory,
# 4 GB of disk while it lasts and 350 MB afterwards.
set -euo pipefail
cd "$(dirname "$0")"

kubernetes=v1.37.2
go=${GO:-$(command -v go || echo /usr/local/go/bin/go)}
target=${XDG_CACHE_HOME:-$HOME/.cache}/kuma-kube/$kubernetes-$(sha256sum go.sum | cut -c -12)

finished() { [ -x "$target/kube-apiserver" ]; }

if finished; then echo "$target"; exit; fi
"$go" version > /dev/null || { echo "tools/kube/build.sh: Go 1.26 or newer is needed; GO names one" >&2; exit 1; }

mkdir -p "$target.building"
exec 9> "$target.building/lock"
flock 9  # two that begin at once: the second one finds what the first one built
if finished; then echo "$target"; exit; fi

echo "Building etcd and Kubernetes $kubernetes into $target (about ten minutes, once) ..." >&2
export CGO_ENABLED=0 GOMAXPROCS=${GOMAXPROCS:-2} GOCACHE=$target.building/cache GOFLAGS= GOWORK=off
base=k8s.io/component-base/version
number=${kubernetes#v}
major=${number%%.*} rest=${number#*.}
minor=${rest%%.*}
flags="-s -w -X $base.gitVersion=$kubernetes -X $base.gitMajor=$major -X $base.gitMinor=$minor"

build() {  # name, package
  echo "  $1" >&2
  "$go" build -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" -o "$target.building/bin/$1" "$2"
}

build etcd go.etcd.io/etcd/server/v3
build kubectl k8s.io/kubernetes/cmd/kubectl
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver

rm -rf "$target"
mv "$target.building/bin" "$target"
rm -rf "$target.building"
echo "$target"
