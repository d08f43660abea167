"""The text of a raw Envoy resource, v2 or v3, becomes a live message of Envoy's v3 API."""

from __future__ import annotations

from typing import NamedTuple

from kuma_core.sdk import DocumentError, load_documents, shown
from kuma_core.sdk.envoy import Message
from kuma_policy_traffic.proxy_template.envoy_checks import check_endpoints
from kuma_policy_traffic.proxy_template.given import Given, Where, mapping_of
from kuma_policy_traffic.proxy_template.messages import PREFIX, name_of
from kuma_policy_traffic.proxy_template.met import NOTHING, Met
from kuma_policy_traffic.proxy_template.reader import Budget, Reader

KEPT = {
    "envoy.config.listener.v3.Listener": "name",
    "envoy.config.route.v3.RouteConfiguration": "name",
    "envoy.config.cluster.v3.Cluster": "name",
    "envoy.config.endpoint.v3.ClusterLoadAssignment": "cluster_name",
    "envoy.extensions.transport_sockets.tls.v3.Secret": "name",
}
"""The types that a proxy asks for, and where each has its name."""

STORED_CHARACTERS = 64 * 2**20
"""More than may be written: a stored resource keeps its effect."""


class NativeResource(NamedTuple):
    """A resource of Envoy; its type and its own name are what tells it from others."""

    type_url: str
    name: str
    message: Message
    met: Met = NOTHING


def read_resource(text: str, budget: Budget | None = None, thorough: bool = False) -> NativeResource:
    """Read one resource from YAML or JSON text with an ``@type`` of Envoy's v2 or v3 API.

    Fields may be written in snake_case or lowerCamelCase. Resources that share a ``budget`` may hold only so
    many values together. A ``thorough`` reading is for the write: a stored resource that an earlier version took
    must not keep a proxy from everything else.

    Raises ``ValueError`` with the reason, and with the field where there is one.
    """
    reader = Reader(budget or Budget(characters=STORED_CHARACTERS), thorough)
    cls, old, body = reader.resolve(Given(_document(text), ""))
    type_name = name_of(cls)
    if type_name not in KEPT:
        kept = ", ".join(sorted(name.rpartition(".")[2] for name in KEPT))
        raise ValueError(f"a proxy does not ask for resources of type {type_name}; it asks for {kept}")
    message = reader.message(cls, body, Where("", old))
    if thorough:
        check_endpoints(type_name, message)
    name: str = getattr(message, KEPT[type_name])
    if not name:
        raise ValueError(_nameless(type_name))
    return NativeResource(PREFIX + type_name, name, message, reader.notes.all())


def _document(text: str) -> dict[str, object]:
    try:
        documents = load_documents(text, "the text", as_written=True)
    except DocumentError as error:
        raise ValueError(str(error)) from None
    if len(documents) != 1:
        raise ValueError(f"expected one YAML or JSON document, got {len(documents) or 'none'}")
    if not isinstance(documents[0], dict):
        raise ValueError(f'expected a mapping with an "@type", got {shown(documents[0])}')
    return mapping_of(Given(documents[0], ""))


def _nameless(type_name: str) -> str:
    """In the words of Envoy's own rules, which speak of fields in capitals."""
    field = "".join(part.capitalize() for part in KEPT[type_name].split("_"))
    return f"invalid {type_name.rpartition('.')[2]}.{field}: value length must be at least 1 bytes"
