"""Who may do what: as little as the control plane and the injector need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kuma_store_k8s.install.choices import CONTROL_PLANE, INJECTOR, Choices
from kuma_store_k8s.install.webhooks import INJECTING, MUTATING, VALIDATING
from kuma_store_k8s.names import GROUP, KUMA_0_3

RBAC = "rbac.authorization.k8s.io"

READ = ["get", "list", "watch"]
WRITE = [*READ, "create", "update", "patch", "delete"]
ANSWERED = ["get", "list", "watch", "patch"]
"""What keeping ``caBundle`` right takes."""

WRITTEN = ("dataplaneinsights", "dataplanes", "meshes")
"""What control planes write of themselves; of policies they only delete what is in a mesh that goes."""

OWNERS = ("dataplanes", "meshes")
"""What owns objects that they make: an owner that blocks deletion takes a right on its finalizers."""

Object = dict[str, Any]


def objects(choices: Choices) -> Iterator[Object]:
    """ClusterRoles, their bindings, Roles and their bindings, in this order."""
    yield from _cluster_role("kuma:control-plane", CONTROL_PLANE, choices, _cluster_rules(choices))
    if choices.injector_image:
        yield from _cluster_role("kuma:injector", INJECTOR, choices, [_rule(GROUP, ["meshes"], READ)])
    yield from _role("kuma:control-plane", CONTROL_PLANE, choices, _system_rules())


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> Object:
    made: Object = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return {**made, "resourceNames": list(names)} if names else made


def _cluster_rules(choices: Choices) -> list[Object]:
    own = {kind.plural for kind in KUMA_0_3}
    plurals = [kind.plural for kind in choices.kinds]
    written = [plural for plural in plurals if plural in WRITTEN or plural not in own]
    policies = [plural for plural in plurals if plural not in written]
    admission = "admissionregistration.k8s.io"
    return [
        _rule("", ["namespaces", "pods", "services"], READ),
        _rule("", ["pods/finalizers"], ["update"]),
        _rule(GROUP, sorted(written), WRITE),
        _rule(GROUP, sorted(policies), [*READ, "delete"]),
        _rule(GROUP, [f"{plural}/finalizers" for plural in OWNERS], ["update"]),
        _rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
        _rule(admission, ["mutatingwebhookconfigurations"], ANSWERED, [INJECTING, MUTATING]),
        _rule(admission, ["validatingwebhookconfigurations"], ANSWERED, [VALIDATING]),
        _rule("events.k8s.io", ["events"], ["create", "patch"]),
    ]


def _system_rules() -> list[Object]:
    return [
        _rule("", ["configmaps", "secrets"], WRITE),
        _rule("coordination.k8s.io", ["leases"], WRITE),
    ]


def _cluster_role(name: str, account: str, choices: Choices, rules: list[Object]) -> Iterator[Object]:
    yield {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    yield _binding("ClusterRole", {"name": name}, name, account, choices)


def _role(name: str, account: str, choices: Choices, rules: list[Object]) -> Iterator[Object]:
    metadata = {"name": name, "namespace": choices.namespace}
    yield {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    yield _binding("Role", metadata, name, account, choices)


def _binding(kind: str, metadata: Object, role: str, account: str, choices: Choices) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": choices.namespace}],
    }
