"""The HTTPS server of admission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.sdk import Access, Body, Port, WsgiServer
from kuma_runtime_k8s.admission.answers import Admission
from kuma_runtime_k8s.admission.app import MOST_BYTES, AdmissionApp
from kuma_runtime_k8s.admission.certificate import certificate

if TYPE_CHECKING:
    from kuma_core.sdk import Context

SETTINGS = "runtime.kubernetes.admissionServer"

ACCESS = Access(web_pages="nothing")
"""Who asks learns what the rules say of his document, and whether a mesh of some name is there; nothing is stored."""


def server(context: Context) -> WsgiServer:
    """The server, on the port and address of its settings, with the certificate of its folder."""
    config = context.config
    return WsgiServer(
        name="admission-server",
        port=Port(f"{SETTINGS}.port", config.text(f"{SETTINGS}.address")),
        app=AdmissionApp(Admission(context.registered.kinds, context.resources, context.views)),
        tls=certificate(config.text(f"{SETTINGS}.certDir")).context(),
        body=Body(MOST_BYTES),
        access=ACCESS,
    )
