"""What an operator chooses of an installation, by the flags of ``kumactl install control-plane``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kuma_core.sdk import KumaError
from kuma_store_k8s.names import KUMA_0_3, KubeKind, check_namespace, is_label

CONTROL_PLANE, INJECTOR = "kuma-control-plane", "kuma-injector"
"""The fixed names of the Deployments, their ServiceAccounts and labels; the Services may be called otherwise."""

USER = 5678
"""The user and group of our images."""

_IMAGE = re.compile(r"[\w][\w./:@-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key as PEM text; both are empty where the program is to make its own."""

    certificate: str = ""
    key: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.certificate)


@dataclass(frozen=True, slots=True)
class Choices:
    """The flags. ``injector_image`` is empty where nothing is to be injected."""

    version: str
    namespace: str = "kuma-system"
    pull_policy: str = "IfNotPresent"
    image: str = "kuma/kuma-cp"
    service: str = CONTROL_PLANE
    replicas: int | None = None
    admission: Pair = Pair()
    sds: Pair = Pair()
    injector_image: str = "kuma/kuma-injector"
    injector_service: str = INJECTOR
    injector_failure_policy: str = "Ignore"
    injector: Pair = Pair()
    sidecar_image: str = "kuma/kuma-dp"
    init_image: str = "kuma/kuma-init"
    kinds: tuple[KubeKind, ...] = KUMA_0_3

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        for flag, name in (("control-plane", self.service), ("injector", self.injector_service)):
            if not is_label(name) or name[0].isdigit():
                raise KumaError(f'--{flag}-service-name: "{name:.80}" cannot be the name of a Service')
        for image in filter(None, (self.image, self.injector_image, self.sidecar_image, self.init_image)):
            if not _IMAGE.fullmatch(image):
                raise KumaError(f'"{image:.80}" is no name of an image, such as registry.example.com/kuma-cp')
        if not _IMAGE.fullmatch(self.version):
            raise KumaError(f'--control-plane-version: "{self.version:.80}" cannot be the tag of an image')

    def tagged(self, image: str) -> str:
        """An image with the version as its tag, unless it has a tag or a digest of its own."""
        return image if ":" in image.rpartition("/")[2] else f"{image}:{self.version}"


def pair(component: str, certificate: str, key: str) -> Pair:
    """A certificate and a key that came by flags. Raises KumaError for one alone, and for what is no PEM."""
    if bool(certificate) != bool(key):
        raise KumaError(f"{component}: both TLS Cert and TLS Key must be provided at the same time")
    for what, text in (("TLS Cert", certificate), ("TLS Key", key)):
        if text and "-----BEGIN " not in text:
            raise KumaError(
                f"{component}: {what} is no PEM: it takes the text itself, or @ and the name of a file"
            )
    return Pair(certificate, key)
