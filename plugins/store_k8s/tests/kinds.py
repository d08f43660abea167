"""The kinds of the contract's tests, as Kubernetes has them."""

from __future__ import annotations

from kuma_store_k8s.names import KubeKind

THING, OTHER, QUIET = KubeKind("Thing", "things"), KubeKind("Other", "others"), KubeKind("Quiet", "quiets")
MESH = KubeKind("Mesh", "meshes", is_namespaced=False)
KINDS = (THING, OTHER, QUIET, MESH)
