"""Names on both sides: kinds and their plurals, core names ``name.namespace``, and what Kubernetes takes as a name.

Pure functions, light to import: kumactl needs them, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kuma_core.sdk import KumaError, ResourceType, Scope

GROUP, VERSION = "kuma.io", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

STATUS_KINDS = frozenset({"DataplaneInsight"})
"""Kinds whose content is under ``status`` instead of ``spec``; 0.3.1 has one."""

LONGEST_NAME, LONGEST_LABEL = 253, 63

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")


class NotForKubernetes(KumaError):
    """A name or a kind that the Kubernetes API does not take; the message says what it takes."""


@dataclass(frozen=True, slots=True)
class KubeKind:
    """A kind as Kubernetes has it: ``part`` is the member of its objects that holds the content."""

    name: str
    plural: str
    is_namespaced: bool = True

    @property
    def part(self) -> str:
        """``spec``, or ``status`` for what control planes write of others."""
        return part_of(self.name)

    @property
    def crd_name(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


KUMA_0_3: tuple[KubeKind, ...] = (
    KubeKind("DataplaneInsight", "dataplaneinsights"),
    KubeKind("Dataplane", "dataplanes"),
    KubeKind("HealthCheck", "healthchecks"),
    KubeKind("Mesh", "meshes", is_namespaced=False),
    KubeKind("ProxyTemplate", "proxytemplates"),
    KubeKind("TrafficLog", "trafficlogs"),
    KubeKind("TrafficPermission", "trafficpermissions"),
    KubeKind("TrafficRoute", "trafficroutes"),
)
"""The kinds of Kuma 0.3, by plural: what kumactl knows without a plugin and its libraries beside it."""


def part_of(kind: str) -> str:
    """The member of a kind's objects that holds the content: ``spec``, or ``status``."""
    return "status" if kind in STATUS_KINDS else "spec"


def kube_kind(kind: ResourceType) -> KubeKind:
    """A registered kind as Kubernetes has it. The plural is the path of its collection without what no plural may have.

    Raises NotForKubernetes.
    """
    plural = re.sub(r"[^a-z0-9]", "", kind.path.lower())
    if not _KIND.fullmatch(kind.name) or len(kind.name) > LONGEST_LABEL:
        raise NotForKubernetes(
            f'the kind "{kind.name}" has no name that Kubernetes takes: one of at most {LONGEST_LABEL} letters and '
            "digits that begins with a capital letter"
        )
    if not is_label(plural) or plural[0].isdigit():
        raise NotForKubernetes(
            f'the path "{kind.path}" of the kind {kind.name} makes no plural that Kubernetes takes: it needs letters'
        )
    return KubeKind(kind.name, plural, kind.scope is Scope.MESH)


def kube_kinds(kinds: Iterable[ResourceType]) -> list[KubeKind]:
    """Every kind that is stored and served, sorted by plural. Raises NotForKubernetes, also for two of one plural."""
    found: dict[str, KubeKind] = {}
    for kind in kinds:
        if not kind.stored or not kind.served:
            continue
        made = kube_kind(kind)
        other = found.setdefault(made.plural, made)
        if other != made:
            raise NotForKubernetes(
                f"the kinds {other.name} and {made.name} would both be {made.crd_name}; give one another path"
            )
    return [found[plural] for plural in sorted(found)]


# -- names of objects


def core_name(name: str, namespace: str) -> str:
    """The name that REST and proxies know, of a namespaced object."""
    return f"{name}.{namespace}"


def split(core: str) -> tuple[str, str]:
    """The name and the namespace of a core name, which end at its last dot.

    Raises NotForKubernetes, with the words of Kuma 0.3.
    """
    name, dot, namespace = core.rpartition(".")
    if not dot:
        raise NotForKubernetes('name must include namespace after the dot, ex. "name.namespace"')
    if not namespace:
        raise NotForKubernetes("namespace must be non-empty")
    return name, namespace


def is_label(text: str) -> bool:
    """Whether a text is a DNS label (RFC 1123), as a namespace is."""
    return len(text) <= LONGEST_LABEL and bool(_LABEL.fullmatch(text))


def is_name(text: str) -> bool:
    """Whether a text is a DNS subdomain (RFC 1123), as the name of an object is.

    Each part between two dots is bounded by the whole alone, which is the API server's rule.
    """
    return 0 < len(text) <= LONGEST_NAME and all(_LABEL.fullmatch(part) for part in text.split("."))


def check_name(text: str) -> None:
    """Raise NotForKubernetes for a text that cannot be the name of an object."""
    if not is_name(text):
        raise NotForKubernetes(
            f'"{text:.80}" cannot be the name of a Kubernetes object: it takes small letters, digits, "-" and ".", '
            f"at most {LONGEST_NAME}, and a letter or a digit at both ends of each part"
        )


def check_namespace(text: str) -> None:
    """Raise NotForKubernetes for a text that cannot be a namespace."""
    if not is_label(text):
        raise NotForKubernetes(
            f'"{text:.80}" cannot be a namespace of Kubernetes: it takes small letters, digits and "-", '
            f"at most {LONGEST_LABEL}, and a letter or a digit at both ends"
        )
