"""What is open in a cluster: its parts share the way to the API server, and what is known of Pods."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import Authenticator, Component, Context, Presence, Server, hookimpl
from kuma_runtime_k8s.admission.server import server
from kuma_runtime_k8s.certificates.components import CaBundles, ServingCertificate
from kuma_runtime_k8s.certificates.injector import InjectorCertificate
from kuma_runtime_k8s.contract import STORE, KubeApi
from kuma_runtime_k8s.controllers.mesh_controller import MeshController
from kuma_runtime_k8s.controllers.missed import MissedPods
from kuma_runtime_k8s.controllers.pod_controller import PodController
from kuma_runtime_k8s.controllers.serving import PRESENCE, Deputy
from kuma_runtime_k8s.identity.authenticator import NAME, ServiceAccountTokens
from kuma_runtime_k8s.pods import FollowedPods, Pods
from kuma_runtime_k8s.settings import AUDIENCE


class ClusterFeature:
    """The open feature."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._api = context.ask(STORE, KubeApi)
        self._presence = context.ask(PRESENCE, Presence)
        self._pods = Pods()

    @hookimpl
    def kuma_register_servers(self) -> Iterable[Server]:
        """Answer the API server's questions about resources that somebody writes."""
        return [server(self._context)]

    @hookimpl
    def kuma_register_authenticators(self) -> Iterable[Authenticator]:
        """Proxies prove who they are by the tokens of their ServiceAccounts."""
        audience = self._context.config.text(AUDIENCE)
        return [Authenticator(NAME, ServiceAccountTokens(self._api, self._pods, audience), spares_plain=True)]

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """Keep what is known of Pods, the certificate of admission, meshes and Dataplanes up to date."""
        config = self._context.config
        namespace = config.text("store.kubernetes.systemNamespace")
        service = service_of(config.text("general.advertisedHostname"), namespace)
        folder = config.text("runtime.kubernetes.admissionServer.certDir")
        return [
            FollowedPods(self._api, self._pods),
            ServingCertificate(self._api, namespace, service, folder),
            CaBundles(self._api, namespace),
            InjectorCertificate(self._api, namespace),
            MeshController(self._api, self._context),
            PodController(self._api, self._pods, self._context.instance_id, self._presence),
            Deputy(self._api, self._pods, self._presence),
            MissedPods(self._api, self._pods, self._context.instance_id),
        ]


def service_of(hostname: str, namespace: str) -> str:
    """The Service of the control plane, of which the advertised name speaks: ``<service>.<namespace>``."""
    service, dot, rest = hostname.partition(".")
    is_service = dot and (rest == namespace or rest.startswith(f"{namespace}."))
    return service if is_service else "kuma-control-plane"


class NothingOpen:
    """There is no cluster."""
