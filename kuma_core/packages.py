"""Which package brings what the kernel only knows by name, and how a message says to install it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

PUBLISHED = False
"""Whether our packages are in the package index.

As long as they are not, pip would fetch under their names whatever a stranger put there; so messages and documents name
folders of a checkout. A test compares the documents with this.
"""

FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "kuma-core": ".",
        "kuma-access-roles": "./plugins/access_roles",
        "kuma-ca-builtin": "./plugins/ca_builtin",
        "kuma-ca-provided": "./plugins/ca_provided",
        "kuma-gui": "./plugins/gui",
        "kuma-injector-k8s": "./plugins/injector_k8s",
        "kuma-policy-traffic": "./plugins/policy_traffic",
        "kuma-runtime-k8s": "./plugins/runtime_k8s",
        "kuma-store-k8s": "./plugins/store_k8s",
        "kuma-store-memory": "./plugins/store_memory",
        "kuma-store-postgres": "./plugins/store_postgres",
    }
)
"""Our packages, and where a checkout has each."""

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "kumactl install control-plane": "kuma-store-k8s",
        "kumactl install crds": "kuma-store-k8s",
        "kumactl install database-schema": "kuma-store-postgres",
        "kumactl manage ca builtin": "kuma-ca-builtin",
        "kumactl manage ca provided": "kuma-ca-provided",
    }
)
"""Commands of plugins that people look for, with the program's name."""

_ACCESS_ROLES = ("AccessRole", "AccessRoleBinding")
_POLICY_TRAFFIC = ("HealthCheck", "ProxyTemplate", "TrafficLog", "TrafficPermission", "TrafficRoute")

KINDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(_ACCESS_ROLES, "kuma-access-roles"),
        **dict.fromkeys(_POLICY_TRAFFIC, "kuma-policy-traffic"),
    }
)
"""Kinds of resources that people look for."""

FORMATS: Mapping[str, str] = MappingProxyType({"kubernetes": "kuma-store-k8s"})
"""Output formats of kumactl that people look for."""

STORES: Mapping[str, str] = MappingProxyType(
    {
        "kubernetes": "kuma-store-k8s",
        "memory": "kuma-store-memory",
        "postgres": "kuma-store-postgres",
    }
)
"""Stores, by what ``store.type`` says."""

AUTHORITIES: Mapping[str, str] = MappingProxyType(
    {"builtin": "kuma-ca-builtin", "provided": "kuma-ca-provided"}
)
"""Certificate authorities, by their key in ``mtls.ca``."""


def requirement(package: str, extra: str = "") -> str:
    """What pip is to be given for a package: the name in the index, or for ours the folder in a checkout."""
    place = package if PUBLISHED else FOLDERS.get(package, package)
    return f"{place}[{extra}]" if extra else place


def pip_install(package: str, extra: str = "") -> str:
    """The command that installs a package, as a message says it."""
    command = f"pip install {shlex.quote(requirement(package, extra))}"
    return command if PUBLISHED or package not in FOLDERS else f"{command} in a checkout"


def of_kind(word: str) -> str:
    """What to install for the kind that a word means, as a sentence; empty for a word that is none of ours.

    Singular or plural, whatever the case and the dashes.
    """
    wanted = _bare(word)
    for kind, package in KINDS.items():
        if _bare(kind) == wanted:
            return (
                f"{kind} comes with the package {package}, which this control plane does not use; "
                f"install it beside kuma-cp ({pip_install(package, 'cp')}) and restart kuma-cp"
            )
    return ""


def of_format(name: str) -> str:
    """What to install for an output format, as half a sentence; empty for one that is none of ours."""
    package = FORMATS.get(name, "")
    return package and f"it comes with the package {package}: {pip_install(package)}"


def _bare(word: str) -> str:
    return word.replace("-", "").lower().removesuffix("s")
